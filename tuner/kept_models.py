"""Which models the daemon keeps tuned: those of ``sdoctor daemon add``, in a file of their own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from doctor.errors import NotInOrder
from doctor.paths import data_dir, write_atomically

SCHEMA = "sdoctor.kept-models/1"


class _Kept(msgspec.Struct, kw_only=True):
    schema: str = SCHEMA
    models: tuple[str, ...] = ()


def kept_models_file() -> Path:
    """Where the list is."""
    return data_dir() / "kept-models.json"


def read_kept_models() -> tuple[str, ...]:
    """The list, in the order in which they were added. Raises NotInOrder if it cannot be read."""
    path = kept_models_file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept).models
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotInOrder(
            f"The list {path} cannot be read ({error}); delete it and add the models again."
        ) from error


def write_kept_models(models: tuple[str, ...]) -> None:
    """Replace the list. Raises NotInOrder if the disk refuses."""
    path = kept_models_file()
    try:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(_Kept(models=models)), indent=1))
    except OSError as error:
        raise NotInOrder(f"The list {path} cannot be written: {error.strerror}.") from error
