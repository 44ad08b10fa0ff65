"""The bytes of a model's weights, tensor by tensor, as they are or as a quantised copy would have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from diffusers.hooks._common import _GO_LC_SUPPORTED_PYTORCH_LAYERS
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN

from tuner.dryrun.rows import Component, Layer
from tuner.knobs.knob import DENOISERS
from tuner.knobs.weights import LARGE_ENCODER
from tuner.plan_weights import BYTES_PER_WEIGHT, NF4_SCALE, is_gguf


def tensors_of(model: Any) -> Iterator[torch.Tensor]:
    """Parameters and buffers, shared ones once."""
    yield from model.parameters()
    yield from model.buffers()


def component_of(name: str, model: Any, weights: str) -> Component:
    """Its weights under the setting ``weights``: "native" as they are; else some layers take fewer bytes.

    int8 and nf4 (bitsandbytes) are for the linear layers of the denoiser and of text encoders of more than 1e9
    parameters, GGUF types for those of the denoiser. fp8 is diffusers' layerwise casting of the denoiser.
    """
    seen: set[int] = set()
    sizes: list[int] = []
    dequantised = scales = 0
    is_small = _quantised_layers(name, model, weights)
    for path, module in model.named_modules():
        small = is_small(path, module)
        if small and weights == "nf4":
            scales += int(module.weight.numel() * NF4_SCALE)
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                size, expanded = _bytes(module, key, tensor, weights if small else "native")
                dequantised = max(dequantised, expanded)
                sizes.append(size)
    return Component(
        name=name,
        tensors=tuple(sizes),
        buffers=sum(tensor.numel() * tensor.element_size() for tensor in model.buffers()),
        dequantised=dequantised,
        scales=scales,
    )


def layers_of(name: str, model: Any, weights: str) -> Iterator[tuple[Any, Callable[[Any], Layer]]]:
    """Every module that offload or quantisation deals with by itself: one with parameters, or a usual layer.

    With each comes what the layer is, given its input (a tensor, or None where it has none of that kind).
    """
    is_small = _quantised_layers(name, model, weights)
    for path, module in model.named_modules():
        parameters = [(key, tensor) for key, tensor in module._parameters.items() if tensor is not None]
        if parameters or isinstance(module, _GO_LC_SUPPORTED_PYTORCH_LAYERS):
            kind = weights if is_small(path, module) else "native"
            sizes = [_bytes(module, key, tensor, kind) for key, tensor in parameters]
            layer = Layer(bytes=sum(size for size, _ in sizes), expanded=sum(more for _, more in sizes))
            yield module, partial(_with_input, module, layer, kind)


def _with_input(module: Any, layer: Layer, weights: str, source: Any) -> Layer:
    if weights != "int8" or not isinstance(source, torch.Tensor):
        return layer
    return replace(layer, expanded=_int8_work(source, module.weight.shape[0]))


def _int8_work(source: torch.Tensor, width: int) -> int:
    """Bytes that a product with int8 weights takes beside input and output: the weights stay 8 bits wide.

    bitsandbytes 0.50.2 (autograd/_functions.py MatMul8bitLt, backends/cuda/ops.py int8_vectorwise_quant and
    int8_mm_dequant): the input in float16 (a copy unless it is), its absolute values and a mask while outliers are
    looked for, its 8-bit copy; then the 32-bit product beside that copy, the product in float16, and the output.
    """
    read = int(source.numel())
    written = read // int(source.shape[-1]) * width
    copied = source.dtype is not torch.float16
    size = int(source.element_size())
    looking = (6 if copied else 4) * read
    multiplying = read + 6 * written + (size * written if copied else 0)
    return max(0, max(looking, multiplying) - size * written)


def _bytes(module: Any, key: str, tensor: torch.Tensor, weights: str) -> tuple[int, int]:
    """(what it takes, what it takes once more while it is expanded to be computed with)."""
    size = tensor.numel() * tensor.element_size()
    if weights == "native" or key not in module._parameters or (key != "weight" and weights != "fp8"):
        return size, 0
    return int(tensor.numel() * BYTES_PER_WEIGHT[weights]), size


def _quantised_layers(name: str, model: Any, weights: str) -> Callable[[str, Any], bool]:
    """Which modules hold quantised weights."""
    # The components that tuner.knobs.weights quantises.
    is_text = name.startswith("text_encoder")
    if weights == "native" or not (is_text or name in DENOISERS):
        return lambda _path, _module: False
    if is_text and (weights == "fp8" or is_gguf(weights) or not _is_large(model)):
        return lambda _path, _module: False
    if weights == "fp8":
        return _cast_layers(model)
    # What a library keeps in float32 it does not quantise either (transformers, quantizers/base.py,
    # get_modules_to_not_convert): T5's "wo".
    kept = set(getattr(model, "_keep_in_fp32_modules", None) or ())

    def is_linear(path: str, module: Any) -> bool:
        return type(module) is torch.nn.Linear and not kept & set(path.split("."))

    return is_linear


def _cast_layers(model: Any) -> Callable[[str, Any], bool]:
    """As ``enable_layerwise_casting`` chooses them (diffusers, models/modeling_utils.py, hooks/layerwise_casting.py)."""
    patterns: tuple[str, ...] = (
        *DEFAULT_SKIP_MODULES_PATTERN,
        *(getattr(model, "_skip_layerwise_casting_patterns", None) or ()),
        *(getattr(model, "_keep_in_fp32_modules", None) or ()),
    )

    def is_cast(path: str, module: Any) -> bool:
        if not isinstance(module, _GO_LC_SUPPORTED_PYTORCH_LAYERS):
            return False
        return not any(re.search(pattern, path) for pattern in patterns)

    return is_cast


def _is_large(model: Any) -> bool:
    return bool(sum(part.numel() for part in model.parameters()) > LARGE_ENCODER)
