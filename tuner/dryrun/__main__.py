"""``python -P -m tuner.dryrun``: one question as JSON on each line of stdin, one answer on each line of stdout.

A question is an Ask; the answer is {"row": ...} or {"error": "a sentence"}. The libraries are imported once.
"""

from __future__ import annotations

import os
import sys

import msgspec

from doctor.errors import UsageError
from tuner.dryrun.rows import Ask, Row


def main() -> None:
    """Answer until stdin ends."""
    # Libraries print; the answers keep the real stdout to themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from tuner.dryrun.engine import DryRun
    from tuner.models import resolve
    from tuner.worker.assemble import ComponentFailed

    def answer(line: str) -> Row:
        ask = msgspec.json.decode(line, type=Ask)
        folder = resolve(ask.model).path
        if folder is None or not folder.is_dir():
            raise ValueError(
                f"'{ask.model}' has no configuration files here; name a builtin or a local folder"
            )
        return DryRun(folder, ask).row(ask.width, ask.height, ask.batch)

    for line in sys.stdin:
        try:
            reply: dict[str, object] = {"row": answer(line)}
        except (UsageError, ComponentFailed, ValueError, TypeError, RuntimeError) as error:
            reply = {"error": str(error).strip()}
        answers.write(msgspec.json.encode(reply) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
