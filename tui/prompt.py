"""Where the prompt comes from: the command line, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from doctor.errors import UsageError

_LONGEST = 100_000
"""Characters. Text encoders read 77 to 512 tokens; more than this is not a prompt but the wrong file."""


def read_prompt(prompt: str | None, file: str | None) -> str:
    """The prompt as one stripped text. Raises UsageError if there is none, or two, or the file cannot be read."""
    if prompt is not None and file is not None:
        raise UsageError("Give the prompt or --prompt-file, not both.")
    if prompt is None and file is None:
        raise UsageError(
            'There is nothing to draw; give a prompt, for example: sdoctor generate "a red circle".'
        )
    text = prompt if prompt is not None else _from_file(str(file))
    text = text.strip()
    if not text:
        raise UsageError("The prompt is empty.")
    if len(text) > _LONGEST:
        raise UsageError(f"The prompt has {len(text)} characters; at most {_LONGEST} make sense.")
    return text


def _from_file(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"The prompt file {path} does not exist.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The prompt file {path} is not UTF-8 text.") from None
    except OSError as error:
        raise UsageError(f"The prompt file {path} cannot be read: {error.strerror}.") from None
