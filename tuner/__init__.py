"""What works on this machine, and what works best, proven by running the real pipeline."""
