"""The full screens, one module each."""
