"""Models of a pipeline run by OpenVINO on the CPU: one program per shape of input, compiled at the first call.

What is replaced is a module's ``forward``; the pipeline, its scheduler and VAE tiling stay as they are. A module that
cannot be converted goes on in PyTorch, and ``remarks`` says why.

A program has weights of its own, in an order that suits the processor. With a cache the converted model and PyTorch's
parameters are a mapped file beside that, whose pages are given back once the program stands: one copy in memory, not three.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

from tuner.failures import is_out_of_memory_text
from tuner.knobs.deep_cache import parts_of
from tuner.knobs.knob import denoiser_of
from tuner.worker.allocator import every_block_mapped, give_back_holes
from tuner.worker.compiling import compiling
from tuner.worker.openvino_cache import (
    Converted,
    ModelCache,
    bytes_of,
    described,
    digest_of_weights,
    forgetting,
)
from tuner.worker.openvino_library import core, openvino

MOST_PROGRAMS = 16
"""Shapes that one module gets a program for; a search for the largest picture tries about eight. A tiled decoder needs
four: inner tiles, two edges, the corner."""

MOST_BYTES = 2 * 2**30
"""Weights that the programs of one module may hold together; those used longest ago go first, and are made again from
the disk. Each program has a copy: a search for the largest picture would else fill it with programs of other sizes."""

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


_NO_ROOM = ("Resource temporarily unavailable", "cannot map zero-fill pages")
"""What its plugin says where it cannot start a thread or be loaded: under a budget that is a lack of memory."""


class TooManyShapes(Exception):
    """A module is called with ever new shapes, and compiling each costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled module for one shape of input."""

    request: Any
    """OpenVINO's InferRequest: takes and gives float32, whatever it computes in."""
    out_spec: Any
    """torch's tree of the result."""
    out_types: tuple[torch.dtype, ...]

    def __call__(self, tensors: list[torch.Tensor]) -> Any:
        """What the module would have returned."""
        self.request.infer([tensor.detach().float().contiguous().numpy() for tensor in tensors])
        count = len(self.out_types)
        outputs = [
            # A copy: the request's memory is overwritten by the next call.
            torch.from_numpy(self.request.get_output_tensor(n).data.copy()).to(self.out_types[n])
            for n in range(count)
        ]
        return pytree.tree_unflatten(outputs, self.out_spec)


@dataclass(slots=True)
class Compiled:
    """Stands in the place of a module's ``forward``."""

    name: str
    module: torch.nn.Module
    original: Callable[..., Any]
    cache: ModelCache | None
    programs: dict[Any, Program] = field(default_factory=dict)
    failure: str | None = None
    """Why PyTorch computes this module after all."""
    unkept: str | None = None
    """Why its converted model is not on the disk, where there is a cache."""
    digest: str | None = None
    """Of the weights, once it is known: they stay as they are."""
    seen: set[Any] = field(default_factory=set)
    """The shapes so far, those included whose program was given up."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program for this shape, making it first where there is none."""
        if self.failure is not None:
            return self.original(*args, **kwargs)
        leaves, spec = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        key = (spec, tuple(_shape_or_value(leaf) for leaf in leaves))
        program = self.programs.pop(key, None)
        if program is None:
            try:
                self.seen.add(key)
                self._give_up_the_oldest()
                program = self._make(leaves, spec, tensors, repr(key[1]))
            except MemoryError:
                raise
            except Exception as error:
                if is_out_of_memory_text(str(error)) or any(words in str(error) for words in _NO_ROOM):
                    raise MemoryError(f"OpenVINO: {error}") from error
                self.failure = _first_line(error)
                self.programs.clear()
                return self.original(*args, **kwargs)
        # At the end of the dictionary: the order tells which was used last.
        self.programs[key] = program
        return program(tensors)

    def _give_up_the_oldest(self) -> None:
        """Make room before the next program needs it."""
        weights = bytes_of(self.module)
        while self.programs and (len(self.programs) + 1) * weights > MOST_BYTES:
            del self.programs[next(iter(self.programs))]

    def _make(self, leaves: list[Any], spec: Any, tensors: list[torch.Tensor], shapes: str) -> Program:
        if len(self.seen) > MOST_PROGRAMS:
            raise TooManyShapes(f"it was called with more than {MOST_PROGRAMS} different shapes")
        config = {
            "INFERENCE_PRECISION_HINT": _HINTS[next(self.module.parameters()).dtype],
            "PERFORMANCE_HINT": "LATENCY",
            # As many threads as the setting gave torch: two pools beside each other would share the same cores.
            "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
        }
        with compiling(f"the {self.name}", from_disk=True):
            key = self._key(shapes)
            program = self._compiled(self.cache.load(key) if self.cache is not None else None, config)
            _tidy_up()
        if program is not None:
            return program
        with compiling(f"the {self.name}"):
            program = self._compiled(self._converted(leaves, spec, tensors, key), config)
            _tidy_up()
        assert program is not None
        return program

    def _compiled(self, found: Converted | None, config: dict[str, str]) -> Program | None:
        """The program of a converted model, whose weights the module then shares; None of none."""
        if found is None:
            return None
        found.share(self.module)
        give_back_holes()
        with forgetting(found.weights):
            compiled = core().compile_model(found.model, "CPU", config)
            return Program(compiled.create_infer_request(), found.out_spec, found.out_types)

    def _key(self, shapes: str) -> str:
        if self.cache is None:
            return ""
        if self.digest is None:
            self.digest = digest_of_weights(self.module)
        return self.cache.key(described(self.module), shapes, self.digest)

    def _converted(self, leaves: list[Any], spec: Any, tensors: list[torch.Tensor], key: str) -> Converted:
        """The module converted, as it then lies on the disk where there is a cache."""
        fresh = convert(self.module, self.original, leaves, spec, tensors)
        if self.cache is None:
            return fresh
        self.unkept = self.cache.why_not(self.module)
        if self.unkept is not None or not self.cache.save(key, fresh, self.module):
            return fresh
        kept = self.cache.load(key)
        return fresh if kept is None else kept


def convert(
    module: torch.nn.Module,
    forward: Callable[..., Any],
    leaves: list[Any],
    spec: Any,
    tensors: list[torch.Tensor],
) -> Converted:
    """OpenVINO's model for inputs of these shapes. Raises what OpenVINO raises.

    The model's constants are the module's own parameters, not copies.
    """
    library = openvino()
    flat = _Flat(module, forward, leaves, spec)
    # Tracing needs ordinary tensors, and the pipeline runs under inference mode.
    with torch.inference_mode(False), torch.no_grad(), every_block_mapped(), warnings.catch_warnings():
        # Each branch that the shapes decide is a warning; the program is for these shapes only.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        examples = tuple(tensor.clone() for tensor in tensors)
        model = library.convert_model(
            flat, example_input=examples, input=[tuple(tensor.shape) for tensor in tensors]
        )
    _forget_traces()
    return Converted(model=_with_float32_around(model), out_spec=flat.out_spec, out_types=flat.out_types)


def _tidy_up() -> None:
    """A converted model goes with its last name; what it leaves goes back to the system."""
    gc.collect()
    give_back_holes()


def _forget_traces() -> None:
    """Let go of what torch keeps of every module that it ever traced: 70 MiB of the small model's 240 beside the libraries.

    torch's own tests (torch/testing/_internal/jit_utils.py, clear_class_registry) and OpenVINO's notebooks do it like this.
    Where torch has other names for it, it stays.
    """
    with contextlib.suppress(AttributeError):
        torch._C._jit_clear_class_registry()
        torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
        torch.jit._state._clear_class_state()


class _Flat(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """The module with tensors in and tensors out, whatever tree its arguments and its result are."""

    def __init__(
        self, module: torch.nn.Module, forward: Callable[..., Any], leaves: list[Any], spec: Any
    ) -> None:
        super().__init__()
        self.module = module
        self._call, self._spec = forward, spec
        self._leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self._places = [n for n, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.out_spec: Any = None
        self.out_types: tuple[torch.dtype, ...] = ()

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The tensors of the result, in the order of its tree."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        outputs, self.out_spec = pytree.tree_flatten(self._call(*args, **kwargs))
        if not all(isinstance(output, torch.Tensor) for output in outputs):
            raise TypeError("its result holds other things than tensors")
        self.out_types = tuple(output.dtype for output in outputs)
        return tuple(outputs)


def _with_float32_around(model: Any) -> Any:
    """numpy has no bfloat16, so values go in and out as float32; the program converts them."""
    library = openvino()
    around = library.preprocess.PrePostProcessor(model)
    for number in range(len(model.inputs)):
        around.input(number).tensor().set_element_type(library.Type.f32)
    for number in range(len(model.outputs)):
        around.output(number).tensor().set_element_type(library.Type.f32)
    return around.build()


def install(pipe: Any, cache: ModelCache | None = None) -> None:
    """Let OpenVINO compute the denoiser, the VAE's decoder and the text encoders of ``pipe``."""
    for name, module in _modules(pipe):
        if not isinstance(module.forward, Compiled):
            # Past torch's own __setattr__, which is for parameters and modules.
            object.__setattr__(module, "forward", Compiled(name, module, module.forward, cache))


def installed(pipe: Any) -> list[Compiled]:
    """The modules that OpenVINO was asked to compute."""
    return [module.forward for _name, module in _modules(pipe) if isinstance(module.forward, Compiled)]


def remarks(pipe: Any) -> tuple[str, ...]:
    """What turned out while the pipeline ran: which modules PyTorch computes after all, and why."""
    failed = [
        f"compile=openvino changes nothing for the {found.name}, which PyTorch computes: {found.failure}"
        for found in installed(pipe)
        if found.failure is not None
    ]
    twice = [
        f"compile=openvino: the {found.name} is converted anew in every process and its weights are in memory twice, since "
        f"its program is not kept on the disk: {found.unkept}"
        for found in installed(pipe)
        if found.failure is None and found.unkept is not None
    ]
    return (*failed, *twice)


def _modules(pipe: Any) -> list[tuple[str, torch.nn.Module]]:
    vae = getattr(pipe, "vae", None)
    parts = [
        *parts_of(denoiser_of(pipe)),
        ("VAE decoder", getattr(vae, "decoder", None)),
        *((name.replace("_", " "), getattr(pipe, name, None)) for name in ("text_encoder", "text_encoder_2")),
    ]
    return [(name, module) for name, module in parts if isinstance(module, torch.nn.Module)]


def _shape_or_value(leaf: Any) -> Any:
    """What a program depends on: of a tensor the shape and type, of anything else what it says of itself."""
    if isinstance(leaf, torch.Tensor):
        return tuple(leaf.shape), str(leaf.dtype)
    return repr(leaf)


def _first_line(error: Exception) -> str:
    """What it says first; OpenVINO's own errors begin with the places in its source that they came through."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from ", "Check '"))] or lines
    return (said[0] if said else type(error).__name__).rstrip(".")[:200]
