"""Ask and Answer: what a dry run is asked and what it answers. Free of torch, so that the parent can read it."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.settings import Settings

STAGES = ("encode", "denoise", "decode")

# Marks in the first place of an event; a positive number there is an allocation of that many bytes.
RELEASE = 0
CONVOLUTION = -1
ENTER = -2
LEAVE = -3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question. Sizes in pixels."""

    model: str
    settings: Settings
    width: int | None = None
    """None: the model's own size."""
    height: int | None = None
    batch: int = 1
    guidance: bool = True
    """Whether classifier-free guidance is on where the pipeline's default has it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution whose library may take working memory, depending on the device."""

    input_bytes: int
    output_bytes: int
    weights: int
    """Number of its weights."""
    element_bytes: int
    three_by_three: bool
    """A 3x3 kernel of stride 1."""
    channels_last: bool = False
    """Whether it is computed in that order, as its input or its weights lie."""
    copies_input: bool = False
    """Whether its input has to be copied into that order first."""
    larger_kernel: bool = False
    """Whether its kernel is larger than 1x1."""
    columns_bytes: int = 0
    """Of a copy of the input that holds, for each pixel of the output, all that its kernel sees; 0 where that is the input
    itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A module that offload by layers brings and takes away by itself. Bytes."""

    bytes: int
    """Of its own parameters; 0 for a layer without any, which counts where the next layer is fetched ahead."""
    expanded: int = 0
    """What it takes while it computes because its weights are quantised: a copy of them in the type of its input, or,
    for int8, copies of its input and output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """The weights of one model of the pipeline, in the order in which they are loaded. Bytes."""

    name: str
    tensors: tuple[int, ...]
    buffers: int = 0
    """Bytes of tables that are no parameters."""
    dequantised: int = 0
    """Bytes of the largest layer once it is expanded to be computed with; 0 if nothing is quantised."""
    scales: int = 0
    """Bytes that stay where they are when layers move in groups: bitsandbytes' scales are no parameters."""

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(self.tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model, predicted."""

    stage: str
    component: Component
    """Its weights at the moment of the call."""
    events: tuple[tuple[int, int], ...]
    """(bytes, n): allocation number n. (RELEASE, n): its end. (CONVOLUTION, k): the k-th of ``convolutions`` ran.
    (ENTER, k) and (LEAVE, k): the k-th of ``layers`` begins and ends its work."""
    convolutions: tuple[Convolution, ...]
    layers: tuple[Layer, ...] = ()
    flops: int
    """Floating-point operations of matrix products, convolutions and attention, a multiply-add counted as two."""
    moved_bytes: int
    """Inputs and outputs of every operation that is no view: as if nothing stayed in a cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The prediction for one question, before any device is known."""

    width: int
    height: int
    batch: int
    size_factor: int
    """Width and height must be multiples of this, in pixels."""
    native_size: int
    steps: int
    """Denoising steps that the pipeline takes if nothing is asked for."""
    components: tuple[Component, ...]
    calls: tuple[Call, ...]
    """Those that differ."""
    order: tuple[int, ...]
    """Positions in ``calls``, as the pipeline makes them: one step of denoising."""
    offload_order: tuple[str, ...]
    """Components as the pipeline's hooks of model offload follow each other; others stay on the device."""
    kept: tuple[str, ...] = ()
    """Components that the pipeline keeps on the device in sequential offload too (diffusers,
    ``_exclude_from_cpu_offload``): Kandinsky's prior."""
    remarks: tuple[str, ...] = ()
    """Settings that change nothing on this model."""
