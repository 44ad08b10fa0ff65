"""Loads models of the hub: from its cache on this machine, else over the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from huggingface_hub import constants, errors
from huggingface_hub.file_download import repo_folder_name

from tuner.models import ModelRef
from tuner.worker.pretrained import LoadRefused, load_folder


def load_hub(
    ref: ModelRef,
    dtype: torch.dtype,
    allow_pickle: bool,
    dtypes: Callable[[str], torch.dtype] | None = None,
) -> Any:
    """The model of that hub id. Raises LoadRefused if it cannot be had; remote code is never run."""
    return load_folder(ref, _snapshot(ref, allow_pickle), dtype, allow_pickle, dtypes)


def _snapshot(ref: ModelRef, allow_pickle: bool) -> Path:
    """The folder that holds the model's files, complete, downloaded if need be."""
    options: dict[str, Any] = {"use_safetensors": None if allow_pickle else True, "safety_checker": None}
    try:
        return Path(diffusers.DiffusionPipeline.download(ref.name, local_files_only=True, **options))
    except (OSError, ValueError):
        pass  # not in the cache, or not all of it
    try:
        return Path(diffusers.DiffusionPipeline.download(ref.name, **options))
    except (OSError, ValueError, errors.HFValidationError) as error:
        raise LoadRefused(_sentence(ref, error)) from error


def _sentence(ref: ModelRef, error: BaseException) -> str:
    chain = list(_causes(error))
    if any(isinstance(cause, errors.GatedRepoError) for cause in chain):
        return (
            f"'{ref.name}' is given only to those who accept its terms: do so on huggingface.co, "
            "then run `hf auth login`."
        )
    if any(isinstance(cause, errors.RepositoryNotFoundError) for cause in chain):
        return (
            f"There is no model '{ref.name}' on huggingface.co (or it is private), and no such folder here."
        )
    if any(isinstance(cause, errors.EntryNotFoundError) for cause in chain) and not _unreachable(chain):
        return f"'{ref.name}' on huggingface.co is not a diffusers pipeline: it has no model_index.json."
    if _unreachable(chain):
        return (
            f"'{ref.name}' is not in the cache {constants.HF_HUB_CACHE}{_in_part(ref)}, and huggingface.co "
            f"{_why_unreachable()}; connect to the network, point HF_HOME at the folder that holds it, "
            "or give a folder or a .safetensors file."
        )
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"
    return f"'{ref.name}' cannot be fetched from huggingface.co ({reason})."


def _in_part(ref: ModelRef) -> str:
    """Whether a download was begun and not finished: its folder is there all the same."""
    begun = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=ref.name, repo_type="model")
    return " as a whole (a part of it is)" if begun.is_dir() else ""


def _why_unreachable() -> str:
    return "is not asked (HF_HUB_OFFLINE is set)" if constants.is_offline_mode() else "cannot be reached"


def _unreachable(chain: list[BaseException]) -> bool:
    """Whether the network is what failed: huggingface_hub's own errors, or those of its HTTP library."""
    return any(
        isinstance(
            cause,
            (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError),
        )
        or type(cause).__name__
        in ("ConnectError", "ConnectTimeout", "ReadTimeout", "ConnectionError", "ProxyError", "NetworkError")
        for cause in chain
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
