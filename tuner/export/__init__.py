"""A profile in the words of other programs: a diffusers script, or flags and settings of ready-made ones."""
