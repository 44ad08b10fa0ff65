"""Runs the real pipeline on fake tensors and writes down what each call of its models allocates and computes.

Assumptions: the fused attention that torch's CPU dispatch picks stands for the fused kernels of a GPU: both write
the result and one number per row, never the matrix of scores. What the pipeline itself holds between the calls of
its models (latents, prompts) is counted only as far as it goes into the call. Working memory of libraries depends
on the device and is added by ``tuner.predict``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves, tree_map

from tuner.dryrun.fakes import conversions_replace, fake_pipeline
from tuner.dryrun.ledger import Ledger
from tuner.dryrun.repeats import kinds_of, repeat_blocks, repeat_calls, replaced
from tuner.dryrun.rows import ENTER, LEAVE, Answer, Ask, Call, Component, Layer
from tuner.dryrun.stages import stage_of
from tuner.dryrun.weights import component_of, layers_of, tensors_of
from tuner.knobs import apply_settings
from tuner.knobs.knob import denoiser_of
from tuner.settings import Settings
from tuner.worker.build import describe, dtypes_of

# Any other backend computes without the matrix of scores, as PyTorch's own fused attention does.
_APPLIED_ATTENTION = ("sdpa", "sliced", "_native_math")
# PyTorch's own attention with the kernel first that writes the matrix, in every model of the pipeline.
_MATH_FIRST = "sdpa-math"
# Stable Cascade's model card takes 20 steps of the prior and 10 of the decoder
# (https://huggingface.co/stabilityai/stable-cascade); Wuerstchen's defaults are 60 and 12.
# Kandinsky 2.2 takes fewer of its prior, which is small, and its scheduler no fewer than two.
_PRIOR_STEPS = 2
# Scales of classifier-free guidance by whatever name; at 0 no pipeline guides (Z-Image still does at 1).
_GUIDANCE = ("guidance_scale", "prior_guidance_scale", "decoder_guidance_scale", "true_cfg_scale")


class DryRun:
    """One pipeline with fake weights; answers for any size, and turns the VAE's settings as asked."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Raises ComponentFailed where a part cannot be built from its configuration."""
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._pipe = fake_pipeline(folder, dtypes_of(settings), self._mode)
        self._settings = settings
        self._info = describe(self._pipe)
        self._memo: dict[Any, tuple[Call, Any]] = {}
        self._anatomy = _Anatomy()
        self._remarks = self._apply(settings)

    @property
    def pipe(self) -> Any:
        """The pipeline; its weights have no values."""
        return self._pipe

    def _apply(self, settings: Settings) -> tuple[str, ...]:
        attention = settings.attention if settings.attention in _APPLIED_ATTENTION else "sdpa"
        # diffusers keeps a backend that was set for every model that comes after.
        _AttentionBackendRegistry.set_active_backend(AttentionBackendName.NATIVE)
        # The hooks of offload need the device itself: tuner.predict models what they do.
        # What fewer bits take is counted by tuner.dryrun.weights.
        applied = settings.but(attention=attention, offload="none", threads=None, weights="native")
        with conversions_replace():
            remarks = apply_settings(self._pipe, applied, "cpu")
        if settings.weights != "native" and denoiser_of(self._pipe) is None:
            remarks += (f"weights={settings.weights} changes nothing: this pipeline has no single denoiser",)
        return remarks

    def answer(self, ask: Ask) -> Answer:
        """What one generation takes. Raises whatever the pipeline raises for a size that it refuses."""
        if ask.settings != self._settings:
            self._settings = ask.settings
            self._remarks = self._apply(ask.settings)
        width, height = ask.width or self._info.native_size, ask.height or self._info.native_size
        calls = _Calls(self._pipe, self._mode, ask.settings, self._memo, self._anatomy)
        arguments = self._arguments(ask, width, height)
        kernels = sdpa_kernel(SDPBackend.MATH) if ask.settings.attention == _MATH_FIRST else nullcontext()
        with calls.wrapped(), conversions_replace(), kernels, torch.no_grad():
            self._pipe(**arguments)
        models = {
            name: part for name, part in self._pipe.components.items() if isinstance(part, torch.nn.Module)
        }
        return Answer(
            width=width,
            height=height,
            batch=ask.batch,
            size_factor=self._info.size_factor,
            native_size=self._info.native_size,
            steps=self._info.default_steps,
            components=tuple(
                self._anatomy.component(name, part, ask.settings.weights) for name, part in models.items()
            ),
            calls=tuple(calls.made.values()),
            order=tuple(calls.order),
            offload_order=_offload_order(
                self._pipe, list(models), [call.component.name for call in calls.made.values()]
            ),
            kept=tuple(getattr(self._pipe, "_exclude_from_cpu_offload", ())),
            remarks=self._remarks,
        )

    def _arguments(self, ask: Ask, width: int, height: int) -> dict[str, Any]:
        accepted = inspect.signature(type(self._pipe).__call__).parameters
        arguments: dict[str, Any] = {
            "prompt": ["a photograph"] * ask.batch,
            "width": width,
            "height": height,
            "num_inference_steps": 1,
            "output_type": "pt",
        }
        if "prior_num_inference_steps" in accepted:
            # As many steps of the prior for each of the decoder as its makers take.
            arguments["prior_num_inference_steps"] = _PRIOR_STEPS
        if "use_resolution_binning" in accepted:
            arguments["use_resolution_binning"] = False
        if not ask.guidance:
            arguments |= {name: 0.0 for name in _GUIDANCE if name in accepted}
        elif _default(accepted, "true_cfg_scale") > 1:
            # Qwen-Image guides only beside a negative prompt, and its makers give it an empty one.
            arguments["negative_prompt"] = [" "] * ask.batch
        return arguments


def _offload_order(pipe: Any, models: list[str], called: list[str]) -> tuple[str, ...]:
    """Components as the hooks of model offload follow each other.

    A pipeline made of two says nothing of its own; each of them frees its models when it ends, so they follow
    each other as they are called, after those that are not.
    """
    own = getattr(pipe, "model_cpu_offload_seq", None)
    if own:
        return tuple(own.split("->"))
    return (*(name for name in models if name not in called), *dict.fromkeys(called))


def _default(parameters: Mapping[str, inspect.Parameter], name: str) -> float:
    """The number that a parameter takes by itself; 0 if there is none."""
    value = parameters[name].default if name in parameters else None
    return value if isinstance(value, (int, float)) else 0.0


class _Anatomy:
    """What the models of a pipeline are made of. It changes with the type of their weights only, and takes long to read."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def component(self, name: str, model: Any, weights: str) -> Component:
        """Its weights, as ``component_of`` counts them."""
        found: Component = self._once(
            "component", name, model, weights, lambda: component_of(name, model, weights)
        )
        return found

    def layers(self, name: str, model: Any, weights: str) -> list[tuple[Any, Callable[[Any], Layer]]]:
        """Its layers, as ``layers_of`` gives them."""
        found: list[tuple[Any, Callable[[Any], Layer]]] = self._once(
            "layers", name, model, weights, lambda: list(layers_of(name, model, weights))
        )
        return found

    def members(self, name: str, model: Any) -> list[tuple[Any, int]]:
        """Its blocks that may repeat, as ``kinds_of`` gives them."""
        found: list[tuple[Any, int]] = self._once("members", name, model, "", lambda: kinds_of(model))
        return found

    def _once(self, what: str, name: str, model: Any, weights: str, make: Callable[[], Any]) -> Any:
        key = (what, name, next(model.parameters()).dtype, weights)
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


class _Calls:
    """The calls of a pipeline's models during one generation."""

    def __init__(
        self, pipe: Any, mode: FakeTensorMode, settings: Settings, memo: dict[Any, Any], anatomy: _Anatomy
    ) -> None:
        self._pipe, self._mode, self._settings, self._memo = pipe, mode, settings, memo
        self._anatomy = anatomy
        self.made: dict[Any, Call] = {}
        """In the order of their first occurrence; equal ones once."""
        self.order: list[int] = []

    @contextmanager
    def wrapped(self) -> Iterator[None]:
        """Within: the models compute on fakes and give zeros of the right shape."""
        with ExitStack() as stack:
            for name, model in self._pipe.components.items():
                if isinstance(model, torch.nn.Module):
                    entry = "decode" if stage_of(name) == "decode" else "forward"
                    body = getattr(model, entry)
                    stack.enter_context(replaced(model, entry, self._entry(name, body)))
            yield

    def _entry(self, name: str, body: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            model = getattr(self._pipe, name)
            key = (name, self._variant(name, model), _shapes((args, kwargs)))
            if key not in self._memo:
                self._memo[key] = self._run(name, model, body, args, kwargs)
            made, out = self._memo[key]
            self.made.setdefault(key, made)
            self.order.append(list(self.made).index(key))
            return tree_map(_to_zeros, out)

        return call

    def _variant(self, name: str, model: Any) -> Any:
        """What changes the work of a model besides its input."""
        dtype = next(model.parameters()).dtype
        if stage_of(name) == "decode":
            return dtype, self._settings.vae_tiling, self._settings.vae_slicing, self._settings.memory_format
        # The weights are part of what is remembered.
        return dtype, self._settings.weights

    def _run(self, name: str, model: Any, body: Any, args: Any, kwargs: Any) -> tuple[Call, Any]:
        ledger = Ledger()
        ledger.ignore(tensors_of(model))

        def to_fake(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            fake = self._mode.from_tensor(leaf)
            ledger.count(fake)
            ledger.know(fake, leaf)
            return fake

        fake_args, fake_kwargs = tree_map(to_fake, (args, kwargs))
        with ExitStack() as stack:
            repeat_blocks(self._anatomy.members(name, model), ledger, stack)
            if stage_of(name) == "decode":
                _shorten_tiles(model, ledger, stack)
            layers = _followed(self._anatomy.layers(name, model, self._settings.weights), ledger, stack)
            stack.enter_context(self._mode)
            stack.enter_context(ledger)
            out = body(*fake_args, **fake_kwargs)
        call = Call(
            stage=stage_of(name),
            # Asked at every call: SDXL's pipeline makes its VAE float32 just before it decodes.
            component=self._anatomy.component(name, model, self._settings.weights),
            events=tuple(ledger.events),
            convolutions=ledger.convolutions,
            layers=tuple(layers),
            flops=ledger.flops,
            moved_bytes=ledger.moved,
        )
        return call, tree_map(_to_meta, out)


def _followed(
    found: list[tuple[Any, Callable[[Any], Layer]]], ledger: Ledger, stack: ExitStack
) -> dict[Layer, int]:
    """Within the stack: the ledger says when each layer begins and ends. Fills what it returns; equal layers once."""
    numbers: dict[Layer, int] = {}
    running: list[int] = []

    def follow(module: Any, layer_of: Callable[[Any], Layer]) -> None:
        def begin(_module: Any, args: Any) -> None:
            layer = layer_of(args[0] if args else None)
            running.append(numbers.setdefault(layer, len(numbers)))
            ledger.events.append((ENTER, running[-1]))

        before = module.register_forward_pre_hook(begin)
        after = module.register_forward_hook(lambda *_: ledger.events.append((LEAVE, running.pop())))
        stack.callback(before.remove)
        stack.callback(after.remove)

    for module, layer_of in found:
        follow(module, layer_of)
    return numbers


def _shorten_tiles(model: Any, ledger: Ledger, stack: ExitStack) -> None:
    """Within the stack: tiles of one shape are computed once, and seams blended on one line."""
    decoder = getattr(model, "decoder", None)
    if decoder is not None:
        repeat_calls(decoder, ledger, stack)
    for blend in ("blend_v", "blend_h"):
        if hasattr(model, blend):
            stack.enter_context(replaced(model, blend, _one_line(getattr(model, blend), ledger)))


def _one_line(blend: Callable[[Any, Any, int], Any], ledger: Ledger) -> Callable[[Any, Any, int], Any]:
    """Blends a single line: every line takes and frees the same bytes, and there are hundreds."""

    def call(first: Any, second: Any, extent: int) -> Any:
        mark = ledger.mark()
        out = blend(first, second, min(extent, 1))
        work = ledger.since(mark)
        ledger.flops += work.flops * max(0, extent - 1)
        ledger.moved += work.moved * max(0, extent - 1)
        return out

    return call


def _shapes(tree: Any) -> Any:
    return tuple(
        (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, torch.Tensor) else repr(leaf)
        for leaf in tree_leaves(tree)
    )


def _to_meta(leaf: Any) -> Any:
    return (
        torch.empty(leaf.shape, dtype=leaf.dtype, device="meta") if isinstance(leaf, torch.Tensor) else leaf
    )


def _to_zeros(leaf: Any) -> Any:
    return torch.zeros(leaf.shape, dtype=leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf
