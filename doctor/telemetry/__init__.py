"""Telemetry: readings of the machine over time.

``sample`` has the types, ``sampler`` what takes them, ``recording`` their form on disk. The readers: ``host``,
``process``, ``quota``, ``neighbours``, ``gpu`` (in this process) and ``gpu_child`` (in a child that may hang).
"""
