"""Builds the parts of a pipeline from its configuration files alone, without weights."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from diffusers.pipelines.deprecated import wuerstchen
from torch.overrides import TorchFunctionMode

from tuner.models import BUILTIN_ROOT, component_names, read_index

_SHARED = BUILTIN_ROOT / "_shared"
# Libraries that a model_index.json may name; anything else would be code that came with the model.
# The last is a part of diffusers that holds models of its own.
_LIBRARIES = {"diffusers": diffusers, "transformers": transformers, "wuerstchen": wuerstchen}


class ComponentFailed(Exception):
    """A component could not be built; says which one and why."""

    def __init__(self, component: str, error: Exception) -> None:
        super().__init__(
            f"its {component} could not be built: {type(error).__name__}: {str(error).strip()[:500]}"
        )
        self.component = component


def build_pipeline(folder: Path, finish: Callable[[str, Any], None]) -> Any:
    """The pipeline of that folder, built from its configurations.

    Every model is made without memory for its parameters (they are on the meta device, buffers are real) and
    handed to ``finish(component name, model)``, which may fill it, before the next one is made.
    Raises ComponentFailed.
    """
    index = read_index(folder)
    pipeline_class = getattr(diffusers, index["_class_name"])
    wanted = component_names(index)
    parts: dict[str, Any] = {}
    for name, entry in index.items():
        if name in wanted:
            try:
                parts[name] = build_component(folder, name, *entry)
                if isinstance(parts[name], torch.nn.Module):
                    finish(name, parts[name])
            except (ValueError, TypeError, KeyError, AttributeError, OSError, NotImplementedError) as error:
                raise ComponentFailed(name, error) from error
        elif isinstance(entry, list):
            parts[name] = None
        elif not name.startswith("_"):
            parts[name] = entry
    accepted = inspect.signature(pipeline_class.__init__).parameters
    return pipeline_class(**{name: part for name, part in parts.items() if name in accepted})


def build_component(folder: Path, name: str, library: str, class_name: str) -> Any:
    """One component from its configuration: a model with empty parameters, a scheduler or a tokenizer."""
    if library not in _LIBRARIES:
        raise ValueError(
            f"{library}.{class_name} is code that comes with the model, which sdoctor never runs"
        )
    kind = getattr(_LIBRARIES[library], class_name)
    if issubclass(kind, diffusers.SchedulerMixin):
        return kind.from_pretrained(folder / name, local_files_only=True)
    if issubclass(kind, transformers.PreTrainedTokenizerBase):
        return load_tokenizer(folder / name, kind)
    return empty_model(folder / name, kind)


# What gives a new layer its first numbers. On the meta device there are none, but each call takes its time.
_FIRST_NUMBERS = frozenset(
    (
        *(
            getattr(torch.nn.init, name)
            for name in dir(torch.nn.init)
            if name.endswith("_") and name[0] != "_"
        ),
        *(getattr(torch.Tensor, name) for name in ("zero_", "fill_", "uniform_", "normal_")),
    )
)


class _EmptyOnMeta(TorchFunctionMode):  # type: ignore[misc]  # torch's types are not followed
    """Sends ``torch.empty``, with which layers make their parameters, to the meta device.

    accelerate's context alone lets each parameter be made on the CPU first; the freed pieces stay behind in
    the heap as address space that counts against a memory budget (0.37 GiB for SD 1.5, 1.2 GiB for SDXL).
    Buffers are computed by other functions and stay real.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        elif func in _FIRST_NUMBERS:
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


@contextmanager
def _no_first_numbers() -> Iterator[None]:
    """Within: transformers' models leave their weights as they are made. Buffers are computed before that."""
    original = transformers.PreTrainedModel.initialize_weights
    transformers.PreTrainedModel.initialize_weights = lambda _model, *_args, **_kwargs: None
    try:
        yield
    finally:
        transformers.PreTrainedModel.initialize_weights = original


def empty_model(folder: Path, kind: Any) -> Any:
    """A model with its parameters on the meta device and its buffers computed, in evaluation mode."""
    with _EmptyOnMeta(), _no_first_numbers(), init_empty_weights(include_buffers=False):
        if issubclass(kind, transformers.PreTrainedModel):
            model = kind(kind.config_class.from_json_file(folder / "config.json"))
        else:
            model = kind.from_config(kind.load_config(folder, local_files_only=True))
    if issubclass(kind, transformers.PreTrainedModel):
        # Within the context each place of a shared parameter became a parameter of its own.
        model.tie_weights()
    return model.eval()


def load_tokenizer(folder: Path, kind: Any) -> Any:
    """A tokenizer from its folder, or from the shared vocabulary that its configuration names.

    The published vocabularies are not part of sdoctor. The shared ones are small (bytes for CLIP, characters
    for T5): any prompt becomes valid ids in the right form, but not the ids that trained weights understand.
    """
    settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    shared = settings.get("shared_vocabulary")
    if shared is None:
        return kind.from_pretrained(folder, local_files_only=True)
    own = {
        key: value for key, value in settings.items() if key not in ("shared_vocabulary", "tokenizer_class")
    }
    return kind.from_pretrained(_SHARED / shared, local_files_only=True, **own)
