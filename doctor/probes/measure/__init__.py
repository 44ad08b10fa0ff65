"""The measurements. Each module has a ``measure(say)``; only ``doctor.probes.child`` imports them."""
