"""What ``sdoctor profile`` does: saved profiles as text and JSON, compared, and exported."""

from __future__ import annotations

import difflib
import sys
from dataclasses import fields
from pathlib import Path

import msgspec

from doctor.errors import NotInOrder, UsageError
from doctor.facts import Facts
from doctor.gather import gather
from doctor.paths import write_atomically
from doctor.sizes import gib, parse_size
from tuner.choosing import choose, find_named, mismatch, whole
from tuner.export.programs import TITLES, Exported, export
from tuner.export.script import script
from tuner.models import address_of, recommended, resolve
from tuner.profile import Profile
from tuner.settings import Settings
from tuner.store import Stored, broken_of, newest_of, stored

LIST_SCHEMA = "sdoctor.profiles/1"
DIFF_SCHEMA = "sdoctor.profile-diff/1"
_DIFFUSERS = "diffusers"


def listed(*, as_json: bool) -> str:
    """Every saved profile on a line of its own."""
    facts = gather()
    found = stored()
    if as_json:
        return _json({"schema": LIST_SCHEMA, "profiles": [_entry(one, facts) for one in found]})
    if not found:
        return "No profile was saved yet; `sdoctor tune MODEL` makes one."
    rows = [("NAME", "MODEL", "SETTINGS", "LARGEST", "MADE", "HERE")]
    for one in found:
        profile = one.profile
        if profile is None:
            # What is wrong stands below: a sentence would widen its column.
            rows.append((one.path.stem, "?", "?", "-", "-", "unreadable"))
            continue
        furthest = profile.furthest()
        holds = "" if not mismatch(profile.fingerprint, facts) else "other"
        largest = "-" if furthest is None else furthest.extent
        rows.append(
            (
                one.path.stem,
                profile.model,
                profile.best.text(),
                largest,
                profile.made_at[:10],
                holds or "holds",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, *(one.trouble for one in found if one.profile is None)])


def _entry(one: Stored, facts: Facts) -> dict[str, object]:
    if one.profile is None:
        return {"name": one.path.stem, "path": str(one.path), "trouble": one.trouble}
    why = mismatch(one.profile.fingerprint, facts)
    return {
        "name": one.path.stem,
        "path": str(one.path),
        "model": one.profile.model,
        "made_at": one.profile.made_at,
        "best": one.profile.best,
        "low_memory": one.profile.low_memory,
        "largest": one.profile.proven_side(),
        "holds_here": not why,
        "mismatch": why,
    }


def shown(which: str, *, as_json: bool) -> str:
    """One profile with everything that a person wants to know of it."""
    profile, path = _find(which)
    if as_json:
        return _json(profile)
    why = mismatch(profile.fingerprint, gather())
    mark = profile.fingerprint
    about = [
        mark.name or mark.device,
        None if mark.memory_gib is None else f"{mark.memory_gib} GiB",
        None if mark.cores is None else f"{mark.cores} cores",
        None if mark.driver is None else f"driver {mark.driver}",
        None if mark.torch is None else f"torch {mark.torch}",
        None if mark.diffusers is None else f"diffusers {mark.diffusers}",
        mark.os,
    ]
    faster = f", {profile.speedup:.2f} times as fast as diffusers' default" if profile.speedup else ""
    budget = "" if profile.budget_bytes is None else f", at most {gib(profile.budget_bytes)} used"
    lines = [
        f"{profile.model}: {profile.best.text()}{faster}",
        f"Compared at {profile.width}x{profile.height}, batch {profile.batch}{budget}; made {profile.made_at}.",
        f"Made on: {', '.join(part for part in about if part)}.",
        "It holds on this machine." if not why else f"It does not match this machine: {why}.",
        "",
        "Ladder, measured:",
    ]
    for rung in profile.ladder:
        peak = "" if rung.peak_bytes is None else f", peak {gib(rung.peak_bytes)}"
        time = "" if rung.seconds_per_image is None else f", {rung.seconds_per_image:.1f} s"
        lines.append(f"  {rung.name}: up to {rung.extent}{peak}{time}; {rung.settings.text()}")
    return "\n".join([*lines, "", f"File: {path}"])


def compared(first: str, second: str, *, as_json: bool) -> str:
    """What differs between two profiles."""
    (one, _), (other, _) = _find(first), _find(second)
    parts: dict[str, dict[str, tuple[object, object]]] = {
        "about": _differences(one, other, ("model", "width", "height", "batch", "budget_bytes", "speedup")),
        "settings": _differences(one.best, other.best),
        "fingerprint": _differences(one.fingerprint, other.fingerprint),
        "ladder": {
            name: pair
            for name in dict.fromkeys(rung.name for rung in (*one.ladder, *other.ladder))
            if (pair := (_extent(one, name), _extent(other, name)))[0] != pair[1]
        },
    }
    if as_json:
        return _json({"schema": DIFF_SCHEMA, "first": first, "second": second, **parts})
    lines = []
    for part, found in parts.items():
        lines += [f"{part}:"] * bool(found)
        lines += [f"  {name}: {_word(before)} -> {_word(after)}" for name, (before, after) in found.items()]
    return "\n".join(lines) or "The two profiles say the same."


def _differences(
    one: object, other: object, names: tuple[str, ...] | None = None
) -> dict[str, tuple[object, object]]:
    names = names or tuple(item.name for item in fields(one))  # type: ignore[arg-type]  # both are dataclasses
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _extent(profile: Profile, rung_name: str) -> str | None:
    return next((rung.extent for rung in profile.ladder if rung.name == rung_name), None)


def _word(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def exported(which: str, to: str, *, size: str | None, output: str | None, force: bool) -> None:
    """Print or write the export. Raises UsageError, and NotInOrder for a profile that does not hold here."""
    if to not in (_DIFFUSERS, *TITLES):
        near = difflib.get_close_matches(to, (_DIFFUSERS, *TITLES), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no export to '{to}'; there are {', '.join((_DIFFUSERS, *TITLES))}.{hint}")
    wanted = parse_size(size) if size else None
    profile, path = _find(which)
    choice = choose(str(path), gather(), force=force)
    if choice.mismatch:
        print(f"sdoctor: By --force: {choice.mismatch}.", file=sys.stderr)  # noqa: T201
    settings, rung = profile.settings_for(*wanted) if wanted else (profile.best, "fastest")
    if to == _DIFFUSERS:
        text = _script(profile, settings, rung, path, wanted)
    else:
        text = _told(export(settings, to, profile.fingerprint.device), settings, rung)
    if output is None:
        print(text, end="")  # noqa: T201  (the command's output)
        return
    try:
        write_atomically(Path(output), text.encode())
    except OSError as error:
        raise NotInOrder(f"{output} cannot be written: {error.strerror}.") from None


def _script(
    profile: Profile, settings: Settings, rung: str, path: Path, wanted: tuple[int, int] | None
) -> str:
    model = resolve(profile.model, allow_pickle=True)
    mark = profile.fingerprint
    proven = next((one.extent for one in profile.ladder if one.settings == settings), None)
    remarks = [
        f"Profile {path.stem}, made {profile.made_at[:10]} on {mark.name or mark.device} with torch {mark.torch} and "
        f"diffusers {mark.diffusers}.",
        f"Rung '{rung}': {settings.text()}" + (f"; measured up to {proven} there." if proven else "."),
    ]
    if mark.device != "cpu" and settings.offload != "none":
        remarks.append("Parts of the model wait in host memory: slower, but larger models and pictures fit.")
    return script(
        model,
        settings,
        device="cpu" if mark.device == "cpu" else "cuda:0",
        pipeline=profile.pipeline or model.pipeline_class,
        components=tuple(profile.architecture),
        size=wanted or (profile.width, profile.height),
        recommended=recommended(model),
        remarks=tuple(remarks),
    )


def _told(found: Exported, settings: Settings, rung: str) -> str:
    title = TITLES[found.program]
    lines = [f"# {title}, rung '{rung}': {settings.text()}"]
    if found.flags:
        lines += ["# Start it with", " ".join(found.flags)]
    if found.settings:
        lines += [
            "# In its configuration file (config.json)",
            msgspec.json.format(msgspec.json.encode(found.settings), indent=2).decode(),
        ]
    if not found.flags and not found.settings:
        lines.append("# It needs no flag and no setting for this.")
    lines += [f"# By hand: {text}." for text in found.by_hand]
    if found.not_expressible:
        lines.append(f"# {title} has no way to say: {', '.join(found.not_expressible)}.")
    lines.append(
        "# The settings were measured with diffusers; how fast this program is with them was not measured."
    )
    return "\n".join(lines) + "\n"


def _find(which: str) -> tuple[Profile, Path]:
    """The profile of that name, file or model, the newest one of a model. Raises UsageError, NotInOrder."""
    named = find_named(which)
    if named is not None:
        return whole(named), named.path
    names = [one.path.stem for one in stored()]
    try:
        address = address_of(resolve(which, allow_pickle=True))
    except UsageError:
        address = which
    found = newest_of(address)
    if found is None or found.profile is None or found.path is None:
        broken = broken_of(address)
        if broken is not None:
            raise NotInOrder(broken.trouble)
        near = difflib.get_close_matches(which, names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else " `sdoctor profile list` shows those that were saved."
        raise UsageError(f"There is no profile '{which}'.{hint}")
    return found.profile, found.path


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
