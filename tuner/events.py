"""The closed vocabulary between sdoctor and its worker: five commands down, eleven events up.

Each message is one line of JSON with a ``type``; a type or field that is not listed here is an error.
Bytes, seconds and pixels throughout.
"""

from __future__ import annotations

import msgspec

from doctor.trace import Outcome, Phase, PhaseRecord
from tuner.settings import Request, Settings


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all messages."""


class Load(_Message, tag="load", frozen=True, kw_only=True):
    """Build or load a pipeline and set it up. Only one per worker."""

    model: str
    settings: Settings
    device: str
    """"cpu" or "cuda:0"."""
    budget: int | None = None
    """Bytes that the loaded pipeline may use beyond the bare worker; None for no limit."""
    ceiling: int | None = None
    """Bytes of host memory that loading may take for a while, where that is more than the budget.

    A checkpoint passes through host memory on its way to any device; that is no use of the device.
    """
    allow_pickle: bool = False


class Apply(_Message, tag="apply", frozen=True, kw_only=True):
    """Change settings of the loaded pipeline that can be changed in place."""

    settings: Settings


class Generate(_Message, tag="generate", frozen=True, kw_only=True):
    """Run the pipeline once."""

    request: Request
    outputs: tuple[str, ...] = ()
    """Paths of the PNG files to write, one per picture of the batch; () writes none."""
    preview_seconds: float | None = None
    """Least time between two Previews; None sends none."""
    samples: tuple[str, ...] = ()
    """Paths of the bare PNG files for the comparison of pictures, one per picture; () writes none.

    They take no part in the measurement: one that cannot be written is left out.
    """


class Interrupt(_Message, tag="interrupt", frozen=True, kw_only=True):
    """Stop the running generation after the current step."""


class Quit(_Message, tag="quit", frozen=True, kw_only=True):
    """End the worker."""


class Ready(_Message, tag="ready", frozen=True, kw_only=True):
    """The worker has imported its libraries and taken its bearings."""

    pid: int
    versions: dict[str, str]
    """torch, diffusers, transformers, ..., and cudnn where it is."""


class Loaded(_Message, tag="loaded", frozen=True, kw_only=True):
    """The pipeline stands, with the settings applied."""

    setup: dict[str, str]
    """How it is really set up, read back from the pipeline."""
    remarks: tuple[str, ...] = ()
    """Settings that were accepted but change nothing here, and why."""
    pipeline: str = ""
    """Class name of the pipeline."""
    architecture: dict[str, str] = {}
    """Its models, see ``tuner.architecture``."""
    weights_bytes: int = 0
    """Bytes of all parameters and buffers."""
    size_factor: int = 8
    """Width and height must be multiples of this."""
    native_size: int = 512
    """The picture's side that the model was made for."""
    default_steps: int = 50
    seconds: float = 0.0


class PhaseStarted(_Message, tag="phase_started", frozen=True, kw_only=True):
    """A phase of the generation begins."""

    phase: Phase


class PhaseEnded(_Message, tag="phase_ended", frozen=True, kw_only=True):
    """A phase ended; its wall time without compiling, and its peak of memory."""

    phase: Phase
    seconds: float
    peak_allocated: int | None = None
    peak_reserved: int | None = None

    def record(self) -> PhaseRecord:
        """The same as a part of a trace."""
        return PhaseRecord(
            phase=self.phase,
            seconds=self.seconds,
            peak_allocated=self.peak_allocated,
            peak_reserved=self.peak_reserved,
        )


class Stepped(_Message, tag="stepped", frozen=True, kw_only=True):
    """One denoising step is done."""

    index: int
    """Counts from 1."""
    total: int
    seconds: float


class CompileStarted(_Message, tag="compile_started", frozen=True, kw_only=True):
    """A part of the pipeline is compiled for a size that it meets for the first time; drawing waits meanwhile."""

    what: str
    """As people call it: "the denoiser"."""
    from_disk: bool = False
    """Whether a program that was compiled before is only read."""


class CompileEnded(_Message, tag="compile_ended", frozen=True, kw_only=True):
    """The program stands. Its time counts in no phase, no step and no picture."""

    what: str
    seconds: float
    from_disk: bool = False


class Preview(_Message, tag="preview", frozen=True, kw_only=True):
    """The first picture of the batch as it looks so far, estimated from the latents by a linear map."""

    index: int
    """The step it was taken after, counts from 1."""
    width: int
    height: int
    rgb: bytes
    """``width * height * 3`` bytes, row by row; base64 on the wire."""


class Pulse(_Message, tag="pulse", frozen=True, kw_only=True):
    """The worker lives; its memory now. Sent about twice a second while a generation or load runs."""

    allocated: int | None = None
    """Bytes in live tensors (CUDA), or resident beyond the bare worker (CPU)."""
    reserved: int | None = None
    """Bytes held by torch's caching allocator (CUDA), or of writable data mapped beyond the bare worker (CPU)."""


class Finished(_Message, tag="finished", frozen=True, kw_only=True):
    """The generation is complete."""

    seconds: float
    """Wall time of the whole generation, without loading, compiling and saving."""
    images: tuple[str, ...] = ()
    not_finite: Phase | None = None
    """Where values appeared that are no numbers (NaN, infinity); looked for only where ``samples`` were asked for."""
    remarks: tuple[str, ...] = ()
    """What turned out only while the pipeline ran: settings that changed nothing after all."""


class Failed(_Message, tag="failed", frozen=True, kw_only=True):
    """Load or generation did not complete. The worker must not be used again, unless REFUSED or INTERRUPTED."""

    outcome: Outcome
    message: str
    phase: Phase | None = None
    detail: str = ""
    """The traceback or the last lines of the worker, for --verbose and bug reports."""


Command = Load | Apply | Generate | Interrupt | Quit
Event = (
    Ready
    | Loaded
    | PhaseStarted
    | PhaseEnded
    | Stepped
    | CompileStarted
    | CompileEnded
    | Preview
    | Pulse
    | Finished
    | Failed
)

_commands = msgspec.json.Decoder(Command)
_events = msgspec.json.Decoder(Event)


def encode(message: Command | Event) -> bytes:
    """One message as one line."""
    return msgspec.json.encode(message) + b"\n"


def decode_command(line: bytes) -> Command:
    """Read a command. Raises msgspec.ValidationError for anything outside the vocabulary."""
    command: Command = _commands.decode(line)
    return command


def decode_event(line: bytes) -> Event:
    """Read an event. Raises msgspec.ValidationError for anything outside the vocabulary."""
    event: Event = _events.decode(line)
    return event
