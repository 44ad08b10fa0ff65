"""The entry point: the one place where errors become sentences and exit codes. ``table`` has the commands."""

from __future__ import annotations

import sys
from typing import Any

from doctor.errors import EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_USAGE, SdoctorError
from tui.say import say


def main() -> None:
    """Entry point of ``sdoctor``."""
    try:
        code = _run(sys.argv[1:])
    except SdoctorError as error:
        say(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        say("Interrupted.")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (a pager, head) went away; there is nobody to tell.
        sys.stderr.close()
        code = 0
    except Exception as error:  # noqa: BLE001  (the last resort: a defect is reported, not shown as a traceback)
        code = _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str]) -> Any:
    """The exit code. The usual calls of ``check`` and ``monitor`` do without the library that reads options."""
    if arguments[:1] == ["check"]:
        from tui import check_options

        if (asked := check_options.read(arguments[1:])) is not None:
            from tui.checking import run_check

            return run_check(asked)
    if arguments[:1] == ["monitor"]:
        from tui.monitor_options import begin, read

        if (options := read(arguments[1:])) is not None:
            begin(options)
            return None
    from tui.table import run

    return run()


def _unexpected(error: Exception) -> int:
    """Usage errors of the command line parser, and defects of sdoctor."""
    show = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        # "sdoctor daemon": what commands it has, as "sdoctor" alone says what there is.
        print(show() if show is not None else error)  # noqa: T201
        return EXIT_USAGE
    if show is not None:
        say(f"{show()} Try 'sdoctor --help'.")
        return int(getattr(error, "exit_code", EXIT_USAGE))
    import tempfile
    import traceback
    from pathlib import Path

    with tempfile.NamedTemporaryFile("w", prefix="sdoctor-defect-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    say(
        f"This is a defect of sdoctor: {type(error).__name__}: {error}. "
        f"The details are in {Path(file.name)}; please report them."
    )
    return EXIT_DEFECT
