"""The errors that sdoctor shows to its user, and the exit code that each one carries.

    SdoctorError
    ├── UsageError      the call itself was wrong                              exit 2
    ├── NotInOrder      what was asked about is not in order (nothing fits)    exit 1
    └── Interrupted     Ctrl-C; what was done so far has been saved            exit 3

Anything else that reaches the top is a defect of sdoctor (exit 70).
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_NOT_IN_ORDER = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 3
EXIT_DEFECT = 70


class SdoctorError(Exception):
    """Base of what is told to the user in one sentence, without a traceback."""

    exit_code = EXIT_NOT_IN_ORDER


class UsageError(SdoctorError):
    """The call was wrong: an unknown model, a size that cannot be, a file that is not there."""

    exit_code = EXIT_USAGE


class NotInOrder(SdoctorError):
    """The thing asked about is not in order: nothing fits, the generation failed."""

    exit_code = EXIT_NOT_IN_ORDER


class Interrupted(SdoctorError):
    """The user stopped it; the work done so far was saved."""

    exit_code = EXIT_INTERRUPTED
