"""Pasted reports -> ``Facts``: each module knows one kind of line, ``read`` puts them together."""
