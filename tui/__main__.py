"""``python -m tui``: the same as ``sdoctor``, for children that must run with this Python."""

from __future__ import annotations

from tui.cli import main

main()
