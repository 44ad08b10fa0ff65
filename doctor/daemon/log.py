"""The daemon's log: one JSON object per line, on standard error or in a file of bounded size."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

_OWN = frozenset(vars(logging.makeLogRecord({})))
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Syslog's numbers, which journald reads from "<N>" before a line (sd-daemon(3))."""

_FILE_BYTES = 2 * 2**20
_OLD_FILES = 2


class JsonLines(logging.Formatter):
    """``at``, ``level``, ``source``, ``message``, and whatever was given as ``extra``."""

    def __init__(self, journal: bool = False) -> None:
        """``journal``: whether journald reads the lines."""
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "source": record.name,
            "message": record.getMessage(),
        }
        document |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        line = json.dumps(document, default=str, ensure_ascii=False)
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._journal else line


def log_to(file: Path | None, level: int = logging.INFO) -> None:
    """Send all logs of this process there; None for standard error. Raises OSError."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
        # systemd names the stream that it has connected to the journal (systemd.exec(5), $JOURNAL_STREAM).
        handler.setFormatter(JsonLines(journal="JOURNAL_STREAM" in os.environ))
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            file, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8", delay=True
        )
        handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A full disk must not fill standard error with tracebacks of the log itself.
    logging.raiseExceptions = False
