"""Can xformers be imported, and do its compiled extensions load?"""

from __future__ import annotations

import io
import logging

from doctor.probes.measure.imports import time_import
from doctor.probes.say import Say


def measure(say: Say) -> None:
    """xformers imports without its extensions and only logs that they are missing."""
    words = io.StringIO()
    handler = logging.StreamHandler(words)
    logging.getLogger("xformers").addHandler(handler)
    time_import(say, "xformers", "ops")
    text = words.getvalue().strip()
    if text:
        say.note("warnings", text)
