"""The child program: ``python -P -m doctor.probes.child MODULE`` runs one measurement and prints lines of JSON.

MODULE is a module with a function ``measure(say)``; importing it is the preparation. Once that is done the
program waits for a line on its standard input, so that measurements can take turns.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback

from doctor.probes.say import NotApplicable, Say


def main(module: str) -> None:
    """Prepare, wait for the turn, measure. Whatever is raised is said, not raised."""
    # Libraries print to standard output as they like: it is theirs, and the lines get a descriptor of their own.
    say = Say(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    try:
        measure = importlib.import_module(module).measure
        say.line(ready=True)
        if not sys.stdin.readline():
            return
        measure(say)
    except NotApplicable as reason:
        say.line(inapplicable=str(reason))
    except Exception as error:  # noqa: BLE001  (the error is the answer)
        if type(error).__name__ == "OutOfMemoryError":
            # torch's own class, which must not be imported here. A card that others use is no fault of the card.
            say.line(inapplicable="not enough memory is free on the card")
        else:
            say.line(error=words_of(error))
    say.line(done=True)


def words_of(error: BaseException) -> str:
    """The error and those that led to it, the first one first, as Python prints them without the places."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain and len(chain) < 5:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n".join("".join(traceback.format_exception_only(one)).strip() for one in reversed(chain))


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    # Libraries may crash while they are taken down; the answer has been given.
    os._exit(0)
