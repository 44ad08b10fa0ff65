"""The daemon's configuration: ``daemon.toml`` in the configuration folder, written by hand. All of it has defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from doctor.errors import UsageError
from doctor.paths import config_dir


class DaemonConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set. A name that is misspelt is an error, not a default."""

    interval_seconds: Annotated[float, msgspec.Meta(ge=0.2, le=60.0)] = 1.0
    """Seconds between two samples."""
    keep_tuned: tuple[str, ...] = ()
    """Models to keep tuned, beside those of ``sdoctor daemon add``."""
    idle_minutes: Annotated[float, msgspec.Meta(ge=0.0, le=1440.0)] = 10.0
    """How long the machine must have been idle before a study begins."""
    idle_cpu_percent: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 20.0
    """Of all cores together: what other programs may use while the machine counts as idle."""
    idle_gpu_percent: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 10.0
    """Utilization of a card while the machine counts as idle."""
    study_minutes: Annotated[float, msgspec.Meta(ge=0.1, le=1440.0)] = 60.0
    """How long one study may take; the best that was found until then becomes the profile."""
    listen: str | None = None
    """"127.0.0.1:PORT": also answer on a loopback port. Read when the daemon starts."""


def config_file() -> Path:
    """Where it is looked for."""
    return config_dir() / "daemon.toml"


def read_config() -> DaemonConfig:
    """The configuration; the defaults where there is no file. Raises UsageError with what is wrong in it."""
    path = config_file()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return DaemonConfig()
    except OSError as error:
        raise UsageError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    try:
        return msgspec.toml.decode(content, type=DaemonConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration {path} is wrong: {error}.") from error
