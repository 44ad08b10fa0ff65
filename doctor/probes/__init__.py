"""Live probes: small measurements, each in a child process with a deadline, so that none can harm sdoctor.

``catalogue`` lists them, ``run`` starts the children, ``child`` is the program that they are, and each file of
``measure`` is one measurement. Only the children import ``measure``, and with it torch.
"""
