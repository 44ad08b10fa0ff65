"""A worker program without torch that obeys a script: how the real one can end, in milliseconds.

``python -P -m fake_worker``; what to do stands in FAKE_WORKER (see ACTS).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

from doctor.trace import Outcome, Phase
from tuner.events import (
    CompileEnded,
    CompileStarted,
    Failed,
    Finished,
    Generate,
    Load,
    Loaded,
    PhaseEnded,
    PhaseStarted,
    Pulse,
    Ready,
    Stepped,
)
from tuner.lifeline import end_with_owner
from tuner.worker.channel import Channel, take_standard_streams


def finish(channel: Channel, command: Generate) -> None:
    steps = command.request.steps
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    for index in range(steps):
        time.sleep(0.01)
        channel.send(Stepped(index=index + 1, total=steps, seconds=0.01))
        if channel.interrupted.is_set():
            channel.send(
                Failed(outcome=Outcome.INTERRUPTED, message="Stopped on request.", phase=Phase.DENOISE)
            )
            return
    channel.send(
        PhaseEnded(phase=Phase.DENOISE, seconds=0.01 * steps, peak_allocated=1000 * command.request.width)
    )
    channel.send(Finished(seconds=0.01 * steps))


def out_of_memory(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DECODE))
    channel.send(Failed(outcome=Outcome.OUT_OF_MEMORY, message="no room", phase=Phase.DECODE))
    sys.exit(1)


def segfault(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DECODE))
    os.kill(os.getpid(), signal.SIGSEGV)


def abort_without_memory(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DECODE))
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGABRT)


def killed(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    os.kill(os.getpid(), signal.SIGKILL)


def hang(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    while True:
        time.sleep(0.2)
        channel.send(Pulse())


def slow(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        channel.send(Pulse())
        sum(range(200_000))


def compiles(channel: Channel, command: Generate) -> None:
    """Compiles for half a second in the middle of a picture of a hundredth of it."""
    channel.send(CompileStarted(what="the denoiser"))
    time.sleep(0.5)
    channel.send(CompileEnded(what="the denoiser", seconds=0.5))
    # The run of one step is the warm-up, in which a real one would compile.
    if command.request.steps == 1:
        channel.send(PhaseEnded(phase=Phase.ENCODE, seconds=0.0, peak_allocated=10**6))
    finish(channel, command)


def compiles_for_ever(channel: Channel, command: Generate) -> None:
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    channel.send(CompileStarted(what="the denoiser"))
    time.sleep(60)


def half_a_line(channel: Channel, command: Generate) -> None:
    os.write(channel._out, b'{"type":"fini')
    os._exit(7)


def garbage(channel: Channel, command: Generate) -> None:
    os.write(channel._out, b"a library wrote here\n")
    time.sleep(60)


def loses_its_pipe(channel: Channel, command: Generate) -> None:
    os.close(channel._out)
    time.sleep(60)


def deaf(channel: Channel, command: Generate) -> None:
    """Computes in native code that keeps Python's lock: no thread can see that the pipe was closed."""
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    ctypes.PyDLL(None).sleep(60)


def greedy(channel: Channel, command: Generate) -> None:
    """Takes memory until it is stopped, 4 GiB at most."""
    channel.send(PhaseStarted(phase=Phase.DENOISE))
    blocks = []
    for _ in range(64):
        blocks.append(b"x" * (64 << 20))
        time.sleep(0.02)
    time.sleep(60)


ACTS = {
    act.__name__: act
    for act in (
        finish,
        out_of_memory,
        segfault,
        abort_without_memory,
        killed,
        hang,
        slow,
        compiles,
        compiles_for_ever,
        half_a_line,
        garbage,
        loses_its_pipe,
        deaf,
        greedy,
    )
}


def main() -> None:
    end_with_owner()
    act = os.environ.get("FAKE_WORKER", "finish")
    if act == "dies_at_start":
        sys.exit("no such library")
    channel = Channel(*take_standard_streams())
    print("a library prints to standard output, which must not reach the events")
    channel.send(Ready(pid=os.getpid(), versions={"torch": "0"}))
    for command in channel.commands():
        if isinstance(command, Load):
            channel.send(PhaseStarted(phase=Phase.LOAD))
            if act == "refuses":
                channel.send(Failed(outcome=Outcome.REFUSED, message="No such weights.", phase=Phase.LOAD))
                continue
            channel.send(
                Loaded(setup={"precision": command.settings.precision}, weights_bytes=1, native_size=64)
            )
        elif isinstance(command, Generate):
            ACTS[act](channel, command)
        else:
            channel.send(Loaded(setup={"vae_tiling": command.settings.vae_tiling}, weights_bytes=1))


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main()
