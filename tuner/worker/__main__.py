"""The worker program: obeys commands from one pipe, reports on another, and dies with its owner.

Usage: ``python -P -m tuner.worker`` with pipes as standard input (commands) and standard output (events). What
the libraries print goes to standard error, which nothing reads but a person, after a crash.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from typing import NoReturn

from doctor.errors import SdoctorError
from doctor.trace import Outcome
from tuner.events import Apply, Command, Failed, Generate, Load, Ready
from tuner.failures import outcome_of
from tuner.lifeline import end_with_owner
from tuner.worker.budget import BudgetRefused, lift_budget
from tuner.worker.channel import Channel, take_standard_streams
from tuner.worker.collecting import without_collecting


def main() -> int:
    """Serve commands until Quit, a failure that poisons the process, or the owner's end."""
    # Ctrl-C goes to the whole foreground group; only the owner decides what it means for the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_owner()
    channel = Channel(*take_standard_streams())
    with without_collecting():
        versions = _import_libraries()
        from tuner.worker.session import Session

    session = Session(channel)
    channel.send(Ready(pid=os.getpid(), versions=versions))
    for command in channel.commands():
        if not _obey(session, command, channel):
            return 1
    return 0


def _obey(session: object, command: Command, channel: Channel) -> bool:
    """Carry out one command; returns whether the process may be used again."""
    from tuner.worker.build import LoadRefused
    from tuner.worker.session import InterruptedByUser, RequestRefused, Session

    assert isinstance(session, Session)
    try:
        if isinstance(command, Load):
            session.load(command)
        elif isinstance(command, Apply):
            session.apply(command)
        elif isinstance(command, Generate):
            session.generate(command)
    except (RequestRefused, LoadRefused, BudgetRefused, SdoctorError) as refusal:
        channel.send(Failed(outcome=Outcome.REFUSED, message=str(refusal), phase=session.phase))
        return not isinstance(command, Load)
    except InterruptedByUser:
        channel.send(Failed(outcome=Outcome.INTERRUPTED, message="Stopped on request.", phase=session.phase))
    except Exception as error:  # noqa: BLE001  (whatever a model's code raises is the outcome of this run)
        lift_budget()
        detail = traceback.format_exc()
        message = f"{type(error).__name__}: {str(error).strip()[:2000]}"
        channel.send(
            Failed(outcome=outcome_of(error), message=message, phase=session.phase, detail=detail[-8000:])
        )
        return False
    session.phase = None
    return True


def _import_libraries() -> dict[str, str]:
    """Import what every pipeline needs and let it start its threads, so that a budget counts only the model."""
    import diffusers
    import torch
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    # Starts the thread pools and the matrix and convolution libraries, whose own memory is not the model's.
    square = torch.ones(256, 256)
    for dtype in (torch.float32, torch.bfloat16):
        matrix = square.to(dtype)
        matrix @ matrix
        torch.nn.functional.conv2d(matrix[None, None], torch.ones(1, 1, 3, 3, dtype=dtype))
    versions = {
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }
    if torch.backends.cudnn.is_available():
        versions["cudnn"] = str(torch.backends.cudnn.version())
    return versions


def _end(code: int) -> NoReturn:
    """End without taking the interpreter apart: its owner waits meanwhile, and the kernel frees thousands of modules faster.

    What libraries have registered for the end still runs; torch's compiler ends its own children there.
    """
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
