"""Builds a pipeline whose weights have shapes and types but no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from tuner.worker.assemble import build_pipeline
from tuner.worker.build import cast_buffers
from tuner.worker.noise import kept_in_float32, named_places


def fake_pipeline(folder: Path, dtypes: Callable[[str], torch.dtype], mode: FakeTensorMode) -> Any:
    """The pipeline of that folder with fake weights; scheduler and tokenizers are real.

    ``dtypes`` gives the type of a component's weights by its name.

    Raises ComponentFailed.
    """

    def finish(name: str, model: Any) -> None:
        dtype = dtypes(name)
        _fake_parameters(model, dtype, mode)
        cast_buffers(model, dtype)
        for module in model.modules():
            for key, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[key] = mode.from_tensor(buffer)

    pipe = build_pipeline(folder, finish)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _fake_parameters(model: Any, dtype: torch.dtype, mode: FakeTensorMode) -> None:
    kept = kept_in_float32(model, dtype)
    made: dict[int, torch.nn.Parameter] = {}
    for path, module, key, parameter in list(named_places(model)):
        if id(parameter) not in made:
            kind = torch.float32 if any(part in kept for part in path.split(".")) else dtype
            # Made from what is on the meta device already: asking the fake mode for it takes ten times as long.
            empty = torch.empty(parameter.shape, dtype=kind, device="meta")
            fake = FakeTensor(mode, empty, torch.device("cpu"))
            made[id(parameter)] = _as_parameter(fake)
        module._parameters[key] = made[id(parameter)]


def _as_parameter(fake: Any) -> torch.nn.Parameter:
    """What ``torch.nn.Parameter`` does to a tensor of a class of its own, without the copy that it makes first."""
    fake._is_param = True
    parameter: torch.nn.Parameter = fake
    return parameter


@contextmanager
def conversions_replace() -> Iterator[None]:
    """Within: ``module.to(...)`` puts a new parameter in the place of the old one.

    torch swaps the contents of fake parameters in place instead, which fails whenever anything holds a weak
    reference to one, as the fake mode itself sometimes does.
    """
    original = torch.nn.Module._apply
    torch.nn.Module._apply = _replace_tensors
    try:
        yield
    finally:
        torch.nn.Module._apply = original


def _replace_tensors(root: Any, convert: Callable[[Any], Any], recurse: bool = True) -> Any:
    made: dict[int, tuple[Any, torch.nn.Parameter]] = {}
    types = _TypesAfter(convert)
    for module in root.modules() if recurse else (root,):
        for key, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in made:
                with torch.no_grad():
                    new = types.converted(parameter)
                    if new is not parameter:
                        new = _as_parameter(new)
                # The old one is kept until the end, so that no new one gets its id.
                made[id(parameter)] = (parameter, new)
            module._parameters[key] = made[id(parameter)][1]
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = convert(buffer)
    return root


class _TypesAfter:
    """What a conversion makes of fake tensors. One that changes their types and no more is asked once for each type.

    It is asked about a small real tensor: a fake one takes a hundred times as long, and a decoder has hundreds.
    """

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert
        self._known: dict[torch.dtype, torch.dtype | None] = {}

    def converted(self, parameter: Any) -> Any:
        """The parameter itself if nothing changes, else a new tensor."""
        if not isinstance(parameter, FakeTensor) or not parameter.is_contiguous():
            return self._convert(parameter)
        if parameter.dtype not in self._known:
            self._known[parameter.dtype] = self._type_after(parameter.dtype)
        wanted = self._known[parameter.dtype]
        if wanted is None:
            return self._convert(parameter)
        if wanted is parameter.dtype:
            return parameter
        empty = torch.empty(parameter.shape, dtype=wanted, device="meta")
        return FakeTensor(parameter.fake_mode, empty, torch.device("cpu"))

    def _type_after(self, dtype: torch.dtype) -> torch.dtype | None:
        """None if more than the type changes: the device, or the order of the numbers."""
        probe = torch.zeros((2, 2, 2, 2), dtype=dtype)
        after = self._convert(probe)
        if (
            type(after) is not torch.Tensor
            or after.device != probe.device
            or after.stride() != probe.stride()
        ):
            return None
        return after.dtype
