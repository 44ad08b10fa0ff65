"""Where ``sdoctor check --from`` reads: a file or standard input, and what is said when it cannot."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageError
from doctor.sizes import gib
from tui.say import say

if TYPE_CHECKING:
    from doctor.facts import Facts
    from doctor.reports.excerpt import Excerpt

_TAKES = "--from takes an error, a log, the output of collect_env or nvidia-smi, or facts saved by sdoctor"


def facts_from(source: str) -> Facts:
    """The facts of a file, or of standard input for "-". Raises UsageError with one sentence if there are none.

    Of a long file only the beginning and the end are read; that is said on standard error and listed as unread.
    """
    from doctor.facts import Unread
    from doctor.gather.report import read_report

    name = "Standard input" if source == "-" else f"'{source}'"
    try:
        excerpt = _excerpt(source)
        facts = read_report(excerpt.content)
    except OSError as error:
        raise UsageError(_why(name, error)) from error
    except ValueError as error:
        raise UsageError(f"{name} is not a report that sdoctor can read: {error}; {_TAKES}.") from error
    if not excerpt.skipped:
        return facts
    kept = f"only the beginning and the end ({gib(len(excerpt.content))}) were read, {gib(excerpt.skipped)} between were not"
    say(f"{name} is long: {kept}.")
    return replace(facts, unread=(*facts.unread, Unread(what="the middle of the report", why=kept)))


def _excerpt(source: str) -> Excerpt:
    from doctor.reports.excerpt import read_excerpt

    if source == "-":
        if sys.stdin.isatty():
            end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D on a line of its own"
            say(f"Paste the report here, then press {end}.")
        return read_excerpt(sys.stdin.buffer)
    with Path(source).expanduser().open("rb") as file:
        return read_excerpt(file)


def _why(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"There is no file {name}; {_TAKES}, or '-' for standard input."
    if isinstance(error, IsADirectoryError):
        return f"{name} is a folder; name a file in it."
    if isinstance(error, PermissionError):
        return f"{name} may not be read by this user; change its permissions or copy it."
    return f"{name} cannot be read ({error.strerror or error})."
