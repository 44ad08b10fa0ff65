"""Strategies: pure functions of the trials so far that propose the next probe, or nothing.

Since nothing but the trials decides, a study that was cut off goes on from its trials alone.
"""
