"""History: samples and incidents on disk, for as long as they are worth keeping.

``episode`` is an incident as it is remembered; ``figures`` turns a sample into named numbers and these into bytes;
``tiers`` has what is kept for how long; ``reader`` reads from any process, ``writer`` is the one that writes.
"""

from __future__ import annotations

from doctor.history.episode import Episode, Ran, RanProcess
from doctor.history.figures import Figure, Reading
from doctor.history.reader import HistoryReader, history_file
from doctor.history.writer import History

__all__ = [
    "Episode",
    "Figure",
    "History",
    "HistoryReader",
    "Ran",
    "RanProcess",
    "Reading",
    "history_file",
]
