"""The command line and the screens: showing what doctor and tuner find, and steering them."""
