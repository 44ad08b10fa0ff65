"""Store: profiles on disk, one file per model and fingerprint."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from doctor.errors import NotInOrder
from doctor.paths import data_dir, write_atomically
from tuner.fingerprint import Fingerprint
from tuner.profile import Profile, decode_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The profile to use, or why there is none."""

    profile: Profile | None
    reason: str
    """Why there is none, for the user; "" if there is one."""
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One file of a profile: what it holds, or what is wrong with it."""

    path: Path
    profile: Profile | None
    trouble: str = ""
    """One sentence; "" if it could be read."""


def profiles_dir() -> Path:
    """Where profiles are kept."""
    return data_dir() / "profiles"


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[-80:] or "model"


def save(profile: Profile) -> Path:
    """Write a profile, replacing the one for the same model and fingerprint. Raises OSError.

    One for little memory stands beside the usual one.
    """
    # Two models may have one slug ("a/b", "a-b"), so the name's end stands for the model too.
    key = hashlib.sha256(f"{profile.model}\n{profile.fingerprint.key()}".encode()).hexdigest()[:8]
    kind = "-low-memory" if profile.low_memory else ""
    path = profiles_dir() / f"{_slug(profile.model)}-{key}{kind}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(profile), indent=1))
    return path


def read(path: Path) -> Stored:
    """One file. Never raises: a file that cannot be used says why."""
    try:
        return Stored(path=path, profile=decode_profile(path.read_bytes(), str(path)))
    except NotInOrder as error:
        return Stored(path=path, profile=None, trouble=str(error))
    except OSError as error:
        return Stored(
            path=path, profile=None, trouble=f"The profile {path} cannot be read: {error.strerror}."
        )


def stored() -> tuple[Stored, ...]:
    """Every profile that was saved, by name."""
    return tuple(read(path) for path in sorted(profiles_dir().glob("*.json")))


def match(model: str, fingerprint: Fingerprint, *, low_memory: bool = False) -> Match:
    """The profile of a model that was made on this fingerprint, else the reason why there is none.

    Where there is one for little memory and a usual one, ``low_memory`` says which; where there is one, it is that.
    """
    holding: list[Match] = []
    outdated: list[str] = []
    broken: list[str] = []
    for path in sorted(profiles_dir().glob(f"{_slug(model)}-*.json")):
        one = read(path)
        profile = one.profile
        if profile is None:
            broken.append(one.trouble)
            continue
        if profile.model != model:
            continue
        if profile.fingerprint == fingerprint:
            holding.append(Match(profile=profile, reason="", path=path))
            continue
        outdated.append(f"made with {', '.join(fingerprint.differences(profile.fingerprint))}")
    if holding:
        return min(holding, key=lambda one: one.profile is not None and one.profile.low_memory != low_memory)
    if outdated:
        return Match(
            profile=None, reason=f"the profile of {model} does not match this machine: {outdated[-1]}"
        )
    if broken:
        return Match(profile=None, reason=broken[-1].rstrip("."))
    return Match(profile=None, reason=f"no profile of {model} on this machine yet")


def broken_of(model: str) -> Stored | None:
    """A file that bears the model's name and cannot be used; None if there is none."""
    files = (read(path) for path in sorted(profiles_dir().glob(f"{_slug(model)}-*.json")))
    return next((one for one in files if one.profile is None), None)


def newest_of(model: str) -> Match | None:
    """The newest profile of a model, wherever it was made; None if there is none."""
    found = [
        Match(profile=one.profile, reason="", path=one.path)
        for one in stored()
        if one.profile is not None and one.profile.model == model
    ]
    return max(found, key=lambda one: one.profile.made_at if one.profile else "", default=None)
