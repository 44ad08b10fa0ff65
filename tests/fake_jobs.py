"""Jobs without a worker: scripts of events, for the screen's tests and for looking at the screen."""

import threading
import time
from pathlib import Path

from PIL import Image

from doctor.telemetry.sample import GpuSample, Sample
from doctor.trace import Outcome, Phase
from tui.feed import GenerateJob
from tuner.events import Failed, Finished, Loaded, PhaseEnded, PhaseStarted, Pulse, Ready, Stepped

MIB = 1 << 20
READY = Ready(pid=4242, versions={"torch": "2.13.0", "diffusers": "0.42.1"})
LOADED = Loaded(
    setup={"precision": "bf16"},
    remarks=("vae_tiling changes nothing at this size",),
    pipeline="StableDiffusionPipeline",
    weights_bytes=1600 * MIB,
    seconds=2.5,
)


def beginning():
    """A worker that starts and loads."""
    return [
        READY,
        PhaseStarted(phase=Phase.LOAD),
        Pulse(allocated=800 * MIB, reserved=900 * MIB),
        PhaseEnded(phase=Phase.LOAD, seconds=2.4, peak_allocated=1700 * MIB),
        LOADED,
        PhaseStarted(phase=Phase.ENCODE),
        PhaseEnded(phase=Phase.ENCODE, seconds=0.12, peak_allocated=1650 * MIB),
        PhaseStarted(phase=Phase.DENOISE),
    ]


def step(index, total, seconds=0.5):
    """One step and the memory after it."""
    memory = (1700 + 40 * (index % 4)) * MIB
    return [
        Stepped(index=index, total=total, seconds=seconds),
        Pulse(allocated=memory, reserved=memory + 200 * MIB),
    ]


def ending(images, seconds=6.2):
    """Decoding, saving, the end."""
    return [
        PhaseEnded(phase=Phase.DENOISE, seconds=4.0, peak_allocated=1900 * MIB),
        PhaseStarted(phase=Phase.DECODE),
        PhaseEnded(phase=Phase.DECODE, seconds=2.0, peak_allocated=2300 * MIB),
        PhaseStarted(phase=Phase.SAVE),
        PhaseEnded(phase=Phase.SAVE, seconds=0.05),
        Finished(seconds=seconds, images=tuple(map(str, images))),
    ]


def finishing(images, steps=8):
    """A generation that succeeds."""
    events = beginning()
    for index in range(1, steps + 1):
        events += step(index, steps)
    return events + ending(images)


def running_out_of_memory():
    """A generation that does not fit."""
    message = "can't allocate memory: you tried to allocate 4294967296 bytes."
    return [
        *beginning(),
        *step(1, 8),
        PhaseStarted(phase=Phase.DECODE),
        Failed(outcome=Outcome.OUT_OF_MEMORY, message=message, phase=Phase.DECODE, detail="Traceback ..."),
    ]


class Script:
    """Plays events with a pause before each; can be interrupted as a worker can."""

    def __init__(self, events, pause=0.0, holds=False):
        self._events = events
        self._pause = pause
        self._holds = holds
        """Whether the first step is followed by nothing until somebody interrupts."""
        self.interrupted = threading.Event()
        self.interrupts = 0
        self.deaf = False

    def start(self):
        for event in self._events:
            if self._pause:
                time.sleep(self._pause)
            if self.interrupted.is_set() and not self.deaf:
                yield Failed(outcome=Outcome.INTERRUPTED, message="Stopped on request.", phase=Phase.DENOISE)
                return
            yield event
            if self._holds and isinstance(event, Stepped):
                assert self.interrupted.wait(30)

    def interrupt(self):
        self.interrupts += 1
        self.interrupted.set()


def job_of(script, **changes):
    """A job that plays ``script``."""
    facts = {
        "model": "builtin:tiny",
        "prompt": "a red circle on a wooden table",
        "settings_text": "bf16, vae tiling",
        "width": 512,
        "height": 512,
        "steps": 8,
        "seed": 7,
        "device": "cpu",
        "budget_bytes": 4096 * MIB,
        "note": "no profile for this model on this machine yet; using diffusers' defaults",
        "start": script.start,
        "interrupt": script.interrupt,
    }
    return GenerateJob(**(facts | changes))


def sampler(gpus=()):
    """Samples of a machine that never was."""
    count = 0

    def read(_pid):
        nonlocal count
        count += 1
        return Sample(
            at=time.monotonic(),
            cpu_percent=40.0 + count % 50,
            core_percents=(30.0, 95.0),
            memory_total=24576 * MIB,
            memory_available=18432 * MIB,
            memory_used=6144 * MIB,
            swap_used=0,
            process_cpu_percent=120.0,
            process_rss=2500 * MIB,
            gpus=gpus,
        )

    return read


CARD = GpuSample(
    index=0,
    name="NVIDIA Test 3060",
    utilization=97.0,
    memory_used=7 << 30,
    memory_total=12 << 30,
    power=170.0,
    temperature=71.0,
)


def paint(path: Path, size=(64, 64)) -> Path:
    """A red disc on grey, as a PNG file."""
    width, height = size
    image = Image.new("RGB", size, (90, 90, 100))
    for x in range(width):
        for y in range(height):
            if (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(size) / 3) ** 2:
                image.putpixel((x, y), (220, 30 + 2 * y % 60, 30))
    image.save(path)
    return path
