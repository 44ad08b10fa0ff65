"""Choosing: the profile that a user means by a model, a file or a file's name, if it holds on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from doctor.errors import NotInOrder, UsageError
from doctor.facts import Facts
from tuner.fingerprint import Fingerprint, fingerprint_of
from tuner.models import address_of, resolve
from tuner.profile import Profile
from tuner.store import Stored, match, newest_of, profiles_dir, read, stored
from tuner.target import choose_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A profile, where it stands, and why it should not be trusted here."""

    profile: Profile
    path: Path
    mismatch: str = ""
    """"" if it holds on this machine; else why not, and it was taken by force."""


def choose(text: str, facts: Facts, *, device: str = "auto", force: bool = False) -> Choice:
    """The profile of that model, file or name. Raises NotInOrder with the reason, UsageError for no such model."""
    named = find_named(text)
    if named is not None:
        return _checked(named, facts, device, force)
    address = address_of(resolve(text, allow_pickle=True))
    target = choose_target(facts, device)
    found = match(address, fingerprint_of(facts, target))
    if found.profile is not None and found.path is not None:
        return Choice(profile=found.profile, path=found.path)
    other = newest_of(address)
    if force and other is not None and other.profile is not None and other.path is not None:
        return Choice(profile=other.profile, path=other.path, mismatch=found.reason)
    advice = "force takes it all the same" if other is not None else f"`sdoctor tune {text}` makes one"
    raise NotInOrder(f"{found.reason[:1].upper()}{found.reason[1:]}; {advice}.")


def find_named(text: str) -> Stored | None:
    """The profile in a .json file, or of a saved one's name (its file without .json); None if it is neither."""
    path = Path(text).expanduser()
    if path.suffix == ".json" and path.name != "model_index.json":
        if not path.is_file():
            raise UsageError(f"There is no profile '{text}'; those that were saved lie in {profiles_dir()}.")
        return read(path)
    return next((one for one in stored() if one.path.stem == text), None)


def whole(one: Stored) -> Profile:
    """The profile of a stored file. Raises NotInOrder, in one sentence, if the file cannot be used."""
    if one.profile is None:
        raise NotInOrder(one.trouble)
    return one.profile


def _checked(one: Stored, facts: Facts, device: str, force: bool) -> Choice:
    profile = whole(one)
    reason = mismatch(profile.fingerprint, facts, device)
    if reason and not force:
        raise NotInOrder(
            f"The profile {one.path} does not match this machine: {reason}; force takes it all the same."
        )
    return Choice(profile=profile, path=one.path, mismatch=reason)


def mismatch(fingerprint: Fingerprint, facts: Facts, device: str = "auto") -> str:
    """Why a profile does not hold here; "" if it does. With "auto" the profile's own kind of device is looked at."""
    wanted = fingerprint.device if device == "auto" else device
    try:
        here = fingerprint_of(facts, choose_target(facts, wanted))
    except UsageError as error:
        return str(error).rstrip(".")
    differences = here.differences(fingerprint)
    return f"made with {', '.join(differences)}" if differences else ""
