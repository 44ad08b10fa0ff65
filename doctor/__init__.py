"""What is true about this machine, and what is wrong with it."""
