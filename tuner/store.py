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


def profiles_dir() -> Path:
    """Where profiles are kept."""
    return data_dir() / "profiles"


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[-80:] or "model"


def save(profile: Profile) -> Path:
    """Write a profile, replacing the one for the same model and fingerprint. Raises OSError."""
    # Two models may have one slug ("a/b", "a-b"), so the name's end stands for the model too.
    key = hashlib.sha256(f"{profile.model}\n{profile.fingerprint.key()}".encode()).hexdigest()[:8]
    path = profiles_dir() / f"{_slug(profile.model)}-{key}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(profile), indent=1))
    return path


def match(model: str, fingerprint: Fingerprint) -> Match:
    """The profile of a model that was made on this fingerprint, else the reason why there is none."""
    outdated: list[str] = []
    broken: list[str] = []
    for path in sorted(profiles_dir().glob(f"{_slug(model)}-*.json")):
        try:
            profile = decode_profile(path.read_bytes(), str(path))
        except (NotInOrder, OSError) as error:
            broken.append(str(error))
            continue
        if profile.model != model:
            continue
        if profile.fingerprint == fingerprint:
            return Match(profile=profile, reason="", path=path)
        outdated.append(f"made with {', '.join(fingerprint.differences(profile.fingerprint))}")
    if outdated:
        return Match(
            profile=None, reason=f"the profile of {model} does not match this machine: {outdated[-1]}"
        )
    if broken:
        return Match(profile=None, reason=broken[-1].rstrip("."))
    return Match(profile=None, reason=f"no profile of {model} on this machine yet")
