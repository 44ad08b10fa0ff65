"""The table of commands."""

from __future__ import annotations


def main() -> None:
    """Entry point of ``sdoctor``."""
