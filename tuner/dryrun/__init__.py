"""Dry runs: the real pipeline on tensors without memory, to predict what it would take.

What is modelled rather than run is said where it is done: ``residency`` (offload) and ``engine`` (the rest).
"""
