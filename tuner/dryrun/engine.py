"""Runs the real pipeline on fake tensors and reports what each stage would take on a device.

Assumptions: activations are counted as torch allocates them, in blocks of 512 bytes; workspaces of cuDNN,
cuBLAS or oneDNN are not. The fused attention that torch's CPU dispatch picks stands for the fused kernels of
a GPU: both write the result and one number per row, never the matrix of scores. What the pipeline itself holds
between the calls of its models (latents, prompts) is counted only as far as it goes into the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map

from tuner.dryrun.fakes import conversions_replace, fake_pipeline
from tuner.dryrun.ledger import Cost, Ledger
from tuner.dryrun.residency import resident_bytes, tensors_of
from tuner.dryrun.rows import STAGES, Ask, Row, Stage
from tuner.knobs import apply_settings
from tuner.worker.build import torch_dtype


class DryRun:
    """One pipeline with fake weights under one combination of settings; answers for any size."""

    def __init__(self, folder: Path, ask: Ask) -> None:
        """Raises ComponentFailed where a part cannot be built from its configuration."""
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._pipe = fake_pipeline(folder, torch_dtype(ask.settings.precision), self._mode)
        self._offload = ask.settings.offload
        # The hooks of offload need the device itself: residency models what they do.
        with conversions_replace():
            self._remarks = apply_settings(self._pipe, ask.settings.but(offload="none", threads=None), "cpu")

    @property
    def pipe(self) -> Any:
        """The pipeline; its weights have no values."""
        return self._pipe

    def row(self, width: int, height: int, batch: int = 1) -> Row:
        """What one generation takes. Raises whatever the pipeline raises for a size that it refuses."""
        calls = _Calls(self._pipe, self._mode, self._offload)
        arguments: dict[str, Any] = {
            "prompt": ["a photograph"] * batch,
            "width": width,
            "height": height,
            "num_inference_steps": 1,
            "output_type": "pt",
        }
        if "use_resolution_binning" in inspect.signature(type(self._pipe).__call__).parameters:
            arguments["use_resolution_binning"] = False
        with calls.wrapped(), conversions_replace():
            self._pipe(**arguments)
        return Row(stages=tuple(calls.stages()), remarks=self._remarks)


def _stage_of(component: str) -> str:
    if component.startswith(("text_encoder", "image_encoder")):
        return "encode"
    return "decode" if component.startswith(("vae", "vqgan")) else "denoise"


class _Calls:
    """The calls of a pipeline's models during one generation."""

    def __init__(self, pipe: Any, mode: FakeTensorMode, offload: str) -> None:
        self._pipe, self._mode, self._offload = pipe, mode, offload
        self._costs: dict[str, list[tuple[Cost, int]]] = {stage: [] for stage in STAGES}
        self._ledger = Ledger()

    def stages(self) -> Iterator[Stage]:
        """The stages that occurred, in order."""
        for name, calls in self._costs.items():
            if calls:
                peak, weights = max((cost.peak_bytes + held, held) for cost, held in calls)
                # A step is one call; encoding and decoding may take several.
                counted = calls[:1] if name == "denoise" else calls
                yield Stage(
                    name=name,
                    peak_bytes=peak,
                    weights_bytes=weights,
                    flops=sum(cost.flops for cost, _ in counted),
                    moved_bytes=sum(cost.moved_bytes for cost, _ in counted),
                )

    @contextmanager
    def wrapped(self) -> Iterator[None]:
        """Within: the models compute on fakes and give zeros of the right shape."""
        with ExitStack() as stack:
            for name, model in self._pipe.components.items():
                if not isinstance(model, torch.nn.Module):
                    continue
                entry = "decode" if _stage_of(name) == "decode" else "forward"
                stack.enter_context(_replaced(model, entry, self._entry(name, getattr(model, entry))))
                if entry == "decode":
                    decoder = getattr(model, "decoder", None)
                    if decoder is not None:
                        stack.enter_context(_replaced(decoder, "forward", self._once(decoder.forward)))
                    for blend in ("blend_v", "blend_h"):
                        if hasattr(model, blend):
                            stack.enter_context(_replaced(model, blend, _one_line(getattr(model, blend))))
            yield

    def _entry(self, name: str, body: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            # Asked at every call: SDXL's pipeline makes its VAE float32 just before it decodes.
            held = resident_bytes(self._pipe, name, self._offload)
            self._ledger.ignore(tensors_of(getattr(self._pipe, name)))
            mark = self._ledger.begin()
            fake_args, fake_kwargs = tree_map(self._to_fake, (args, kwargs))
            with torch.no_grad(), self._mode, self._ledger:
                out = body(*fake_args, **fake_kwargs)
            self._costs[_stage_of(name)].append((self._ledger.end(mark), held))
            return tree_map(_to_zeros, out)

        return call

    def _to_fake(self, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        fake = self._mode.from_tensor(leaf)
        self._ledger.count(fake)
        return fake

    def _once(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """Runs the body once per shape of its input; tiles of the same shape cost the same again."""
        seen: dict[Any, tuple[Cost, torch.Size, torch.dtype]] = {}

        def call(*args: Any, **kwargs: Any) -> Any:
            key = tuple(leaf.shape for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))
            if key in seen:
                cost, shape, dtype = seen[key]
                self._ledger.repeat(cost)
                return torch.empty(shape, dtype=dtype)
            mark = self._ledger.begin()
            out = body(*args, **kwargs)
            cost = self._ledger.end(mark)
            if isinstance(out, torch.Tensor):
                seen[key] = (cost, out.shape, out.dtype)
            return out

        return call


def _one_line(blend: Callable[[Any, Any, int], Any]) -> Callable[[Any, Any, int], Any]:
    """Blends a single line: every line takes and frees the same bytes, and there are hundreds."""
    return lambda first, second, extent: blend(first, second, min(extent, 1))


def _to_zeros(leaf: Any) -> Any:
    return torch.zeros(leaf.shape, dtype=leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name)
