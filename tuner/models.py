"""From what the user wrote to what is to be built or loaded: a builtin, a folder, a single file, a hub id."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from doctor.errors import UsageError
from tuner.weightfiles import (
    LFS_POINTER,
    PICKLE_SUFFIXES,
    StoredTensor,
    UnreadableWeights,
    component_files,
    is_pointer,
    memory_bytes,
    pickles,
    read_header,
)
from tuner.weightkinds import accessory_of, refusal_of

BUILTIN_ROOT = Path(__file__).parent / "builtin"
BUILTIN_PREFIX = "builtin:"
INDEX = "model_index.json"
# Left out of every pipeline: it judges pictures, it does not make them.
LEFT_OUT = ("safety_checker", "feature_extractor")

# What huggingface_hub accepts as "owner/name".
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class ModelKind(StrEnum):
    """Where a model comes from."""

    BUILTIN = "builtin"
    FOLDER = "folder"
    FILE = "file"
    HUB = "hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model that was found, or that may be on the hub."""

    kind: ModelKind
    name: str
    """As the user wrote it."""
    path: Path | None = None
    """The folder or file; None for the hub."""
    pipeline_class: str | None = None
    """diffusers' class name where the model says it (model_index.json), else None."""


def builtin_names() -> tuple[str, ...]:
    """The names after "builtin:", tiny first, the rest in alphabetical order."""
    folders = [index.parent.name for index in BUILTIN_ROOT.glob(f"*/{INDEX}")]
    return tuple(sorted(folders, key=lambda name: (name != "tiny", name)))


def resolve(text: str, *, allow_pickle: bool = False) -> ModelRef:
    """Find the model that ``text`` means; an existing path wins over a hub id.

    Raises UsageError with one sentence if there is no such model, or if its weights are pickles and
    ``allow_pickle`` is not set.
    """
    text = text.strip()
    if not text:
        raise UsageError(f"No model was named; write for example builtin:{builtin_names()[0]}.")
    if text.lower().startswith(BUILTIN_PREFIX):
        return _builtin(text)
    path = Path(text).expanduser()
    if path.is_dir():
        return _folder(text, path, allow_pickle)
    if path.exists():
        return _file(text, path, allow_pickle)
    if _HUB_ID.fullmatch(text) and not _looks_like_file(path):
        return ModelRef(kind=ModelKind.HUB, name=text)
    raise UsageError(_why_not_found(text, path))


def _builtin(text: str) -> ModelRef:
    name = text[len(BUILTIN_PREFIX) :].strip().lower()
    if name not in builtin_names():
        raise UsageError(f"There is no builtin model '{name}'; there are {_listed(name)}.")
    path = BUILTIN_ROOT / name
    return ModelRef(
        kind=ModelKind.BUILTIN,
        name=f"{BUILTIN_PREFIX}{name}",
        path=path,
        pipeline_class=read_index(path)["_class_name"],
    )


def _listed(name: str) -> str:
    """All builtin names, the nearest to ``name`` first."""
    near = difflib.get_close_matches(name, builtin_names(), n=3, cutoff=0.4)
    return ", ".join(f"builtin:{known}" for known in dict.fromkeys([*near, *builtin_names()]))


def _folder(text: str, path: Path, allow_pickle: bool) -> ModelRef:
    if not (path / INDEX).is_file():
        raise UsageError(_why_no_pipeline(text, path))
    try:
        index = read_index(path)
    except ValueError as error:
        raise UsageError(f"'{text}' holds no pipeline that can be read: {error}.") from error
    name = index["_class_name"]
    if not isinstance(name, str):
        raise UsageError(
            f"'{text}' needs code that comes with the model ({name}); sdoctor never runs such code."
        )
    if not allow_pickle:
        _refuse_pickled_components(text, path, index)
    return ModelRef(kind=ModelKind.FOLDER, name=text, path=path, pipeline_class=name)


def _why_no_pipeline(text: str, path: Path) -> str:
    """What a folder without an index is: one component of a pipeline, a place for files, or nothing of the kind."""
    if (path / "config.json").is_file() and (path.parent / INDEX).is_file():
        return f"'{text}' is one component of a pipeline; give the whole one: {path.parent}."
    files = sorted(path.glob("*.safetensors"))
    if not files:
        return f"'{text}' holds no pipeline: there is no {INDEX} in it."
    try:
        _refuse_what_is_no_pipeline(str(files[0]), files[0])
    except UsageError as error:
        return f"'{text}' holds no pipeline (no {INDEX}). {error}"
    return f"'{text}' holds no pipeline (no {INDEX}); did you mean its file {files[0]}?"


def _refuse_pickled_components(text: str, path: Path, index: Mapping[str, Any]) -> None:
    for component in component_names(index):
        folder = path / component
        pickled = next(pickles(folder), None)
        if pickled is not None and not component_files(folder):
            raise UsageError(
                f"'{text}' has its {component} only as {pickled.name}, a pickle, which can run any code when "
                "it is opened; convert it to .safetensors, or allow it with --allow-pickle if you trust its "
                "source."
            )


def _file(text: str, path: Path, allow_pickle: bool) -> ModelRef:
    suffix = path.suffix.lower()
    if path.name == INDEX:
        raise UsageError(f"'{text}' is the index of a pipeline; name its folder: {path.parent}.")
    if suffix in PICKLE_SUFFIXES:
        if not allow_pickle:
            raise UsageError(
                f"'{text}' is a pickle, which can run any code when it is opened; use the .safetensors "
                "version, or allow it with --allow-pickle if you trust its source."
            )
        if is_pointer(path):
            raise UsageError(f"'{text}' {LFS_POINTER}.")
        return ModelRef(kind=ModelKind.FILE, name=text, path=path)
    if suffix != ".safetensors":
        raise UsageError(
            f"'{text}' is not a model that sdoctor can load: give a .safetensors file or a diffusers folder."
        )
    _refuse_what_is_no_pipeline(text, path)
    return ModelRef(kind=ModelKind.FILE, name=text, path=path)


def _refuse_what_is_no_pipeline(text: str, path: Path) -> None:
    """Read the header of a safetensors file. Raises UsageError if it is damaged, or a LoRA, a VAE, ..."""
    try:
        tensors = read_header(path)
    except UnreadableWeights as error:
        raise UsageError(f"'{text}' {error}.") from error
    except OSError as error:
        raise UsageError(f"'{text}' cannot be read: {error.strerror or error}.") from error
    accessory = accessory_of({name: tensor.shape for name, tensor in tensors.items()})
    if accessory is not None:
        raise UsageError(refusal_of(text, accessory))


def _looks_like_file(path: Path) -> bool:
    return path.suffix.lower() in (*PICKLE_SUFFIXES, ".safetensors", ".gguf", ".json")


def _why_not_found(text: str, path: Path) -> str:
    if "/" in text or "\\" in text or text.startswith("~") or _looks_like_file(path):
        return f"There is no file or folder '{text}'."
    if text.lower() in builtin_names():
        return f"There is no model '{text}' here; did you mean builtin:{text.lower()}?"
    return (
        f"'{text}' is not a model: give a builtin ({_listed(text.lower())}), a diffusers folder, "
        "a .safetensors file or a hub id such as owner/name."
    )


def read_index(folder: Path) -> dict[str, Any]:
    """The pipeline's index. Raises ValueError, which says what is wrong with it."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except ValueError as error:
        raise ValueError(f"{INDEX} is not JSON") from error
    if not isinstance(index, dict) or "_class_name" not in index:
        raise ValueError(f"{INDEX} names no pipeline class")
    return index


def component_names(index: Mapping[str, Any]) -> tuple[str, ...]:
    """The components of a pipeline: [library, class] entries of its index, without what is left out."""
    return tuple(
        name
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None and name not in LEFT_OUT
    )


def has_weights(folder: Path) -> bool:
    """Whether a component of that pipeline folder has weight files of any kind."""
    parts = [folder / name for name in component_names(read_index(folder))]
    return any(component_files(part) or next(pickles(part), None) for part in parts)


@cache
def builtin_parameters() -> Mapping[str, Mapping[str, int]]:
    """Parameters of each component of the builtins that have no weights: builtin name -> component -> count.

    A test builds every one of them and counts.
    """
    counts: dict[str, dict[str, int]] = json.loads((BUILTIN_ROOT / "parameters.json").read_bytes())
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """What a model's makers recommend where it differs from its pipeline's defaults; None: nothing said."""

    guidance: float | None = None
    """Classifier-free guidance scale."""
    steps: int | None = None
    """Denoising steps."""

    @property
    def is_guided(self) -> bool:
        """Whether classifier-free guidance is on, which doubles a denoiser's work; on where nothing is said."""
        return self.guidance is None or self.guidance > 1


def recommended(ref: ModelRef) -> Recommended:
    """For the builtins, from recommended.json with the source of each; nothing for other models."""
    if ref.kind is not ModelKind.BUILTIN or ref.path is None:
        return Recommended()
    said = json.loads((BUILTIN_ROOT / "recommended.json").read_bytes()).get(ref.path.name, {})
    return Recommended(guidance=said.get("guidance"), steps=said.get("steps"))


def weights_bytes(ref: ModelRef, precision: str | None = None) -> int | None:
    """Bytes of the model's weights in ``precision`` ("fp32", "fp16", "bf16"; None: as stored), predicted.

    From the headers of safetensors files, or from the known parameter counts of a builtin without weights
    (taken as float32 if no precision is given). A lower bound where the library keeps a part in float32
    (T5 in fp16). None where the files do not tell: a hub id, pickles, a damaged file.
    """
    if ref.path is None:
        return None
    if ref.kind is ModelKind.BUILTIN and not has_weights(ref.path):
        counts = builtin_parameters().get(ref.path.name)
        if counts is None:
            return None
        return sum(counts.values()) * (4 if precision in (None, "fp32") else 2)
    try:
        files = [ref.path] if ref.kind is ModelKind.FILE else _folder_files(ref.path)
        if not files:
            return None
        return sum(memory_bytes(_loaded_part(read_header(file), ref.kind), precision) for file in files)
    except (UnreadableWeights, OSError, ValueError):
        return None


def _folder_files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for component in component_names(read_index(folder)):
        part = component_files(folder / component)
        if not part and next(pickles(folder / component), None):
            return []
        files.extend(part)
    return files


def _loaded_part(tensors: dict[str, StoredTensor], kind: ModelKind) -> list[StoredTensor]:
    """A single file may carry a second, averaged copy of the U-Net for training on; it is not loaded."""
    return [
        tensor
        for name, tensor in tensors.items()
        if not (kind is ModelKind.FILE and name.startswith("model_ema."))
    ]


def address_of(ref: ModelRef) -> str:
    """The model as a worker and a profile name it: wherever they stand, it is the same model."""
    if ref.path is None or ref.kind is ModelKind.BUILTIN:
        return ref.name
    return str(ref.path.resolve())


def slug(ref: ModelRef) -> str:
    """A name for files: lower case, digits, dots and dashes; models in different places differ."""
    if ref.kind is ModelKind.BUILTIN or ref.path is None:
        return _words(ref.name.replace("/", "--"))
    place = hashlib.sha256(str(ref.path.resolve()).encode()).hexdigest()[:8]
    return f"{_words(ref.path.stem if ref.kind is ModelKind.FILE else ref.path.resolve().name)}-{place}"


def _words(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.").lower() or "model"
