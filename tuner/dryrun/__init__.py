"""Dry runs: the real pipeline on tensors without memory, to predict what it would take on any device.

``client.Oracle`` is the way in. ``engine`` runs in a child process and knows no device; ``tuner.predict`` does.
"""
