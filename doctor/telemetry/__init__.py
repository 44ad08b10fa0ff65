"""Telemetry: readings of the machine over time (``sample``) and what takes them (``sources``)."""
