"""The worker's end of its two pipes: commands come in, events go out, and a closed pipe ends the worker."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator

from tuner.events import Command, Event, Interrupt, Quit, decode_command, encode


def take_standard_streams() -> tuple[int, int]:
    """Take standard input and output for the messages, and return them as (commands, events).

    Afterwards standard input is empty and whatever a library prints to standard output goes to standard
    error, so nothing but messages can get onto the pipe. To be called before anything else is imported.
    """
    commands, events = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, events


class Channel:
    """Reads commands in a thread of its own, so that an interrupt is heard while the pipeline computes.

    When the other end is gone, because sdoctor ended or was killed, the process exits at once:
    a worker never outlives its owner.
    """

    def __init__(self, commands: int, events: int) -> None:
        """Takes the file descriptors of both pipes."""
        self._in = os.fdopen(commands, "rb")
        self._out = events
        self._lock = threading.Lock()
        self._queue: queue.Queue[Command] = queue.Queue()
        self.interrupted = threading.Event()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        for line in self._in:
            command = decode_command(line)
            if isinstance(command, Interrupt):
                self.interrupted.set()
            else:
                self._queue.put(command)
        os._exit(0)

    def commands(self) -> Iterator[Command]:
        """The commands as they come; ends after Quit."""
        while not isinstance(command := self._queue.get(), Quit):
            yield command

    def send(self, event: Event) -> None:
        """Write one event. Several threads may call it."""
        line = encode(event)
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._out, line) :]
            except BrokenPipeError:
                os._exit(0)
