"""The daemon's routes of advice: settings that fit what is free right now, with a lease on the memory they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

from doctor.daemon.api.route import Call, Refused, Route
from doctor.errors import SdoctorError
from doctor.facts import Facts
from doctor.sizes import gib
from tuner.advice import Need, Skipped, does_not_fit, largest_that_fits, needs
from tuner.fingerprint import fingerprint_of
from tuner.leases import LONGEST_SECONDS, Lease, LeaseBook, LeaseRefused
from tuner.profile import Profile
from tuner.store import match
from tuner.target import choose_target

if TYPE_CHECKING:
    from prometheus_client.core import Metric

DEFAULT_SECONDS = 120.0
"""A client renews at a third of this; one that is gone is noticed at once where its process is known."""

_Side = Annotated[int, msgspec.Meta(ge=8, le=16384, multiple_of=8)]
_Seconds = Annotated[float, msgspec.Meta(ge=1.0, le=LONGEST_SECONDS)]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be made. Pixels, pictures at once, seconds that the lease shall last without being renewed."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """As its profile names it: builtin:NAME, a hub id, an absolute path."""
    width: _Side
    height: _Side
    batch: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    device: Annotated[str, msgspec.Meta(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    seconds: _Seconds = DEFAULT_SECONDS
    lease: bool = True
    """False: only look, promise nothing."""


class LeaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A lease. Give it back with DELETE, renew it with POST .../renew."""

    id: str
    device: str
    bytes: int
    """What the process will use of the device, in all."""
    pid: int | None
    seconds_left: float


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that fit now."""

    schema: str = "sdoctor.advice/1"
    model: str
    device: str
    width: int
    height: int
    batch: int
    settings: dict[str, str | int | None]
    rung: str
    bytes: int
    """What the process needs of the device, in all."""
    basis: str
    """"measured", "between measurements" or "measured at a larger size"."""
    free_bytes: int
    """What this program could have had, other leases taken off."""
    profile: str
    """The file that it comes from."""
    skipped: tuple[Skipped, ...]
    """Faster rungs, and why they were passed over."""
    lease: LeaseAnswer | None


class Leases(msgspec.Struct, frozen=True, kw_only=True):
    """All leases that last."""

    schema: str = "sdoctor.leases/1"
    leases: tuple[LeaseAnswer, ...]


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long it shall last from now on. Seconds."""

    seconds: _Seconds = DEFAULT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceSources:
    """What advice rests on. Everything may be called from any thread."""

    facts: Callable[[], Facts]
    """Of this machine; may be some minutes old: only what does not change is taken from it."""
    free: Callable[[str], int | None]
    """Bytes of a device that can be taken now; None if that is not known."""
    book: LeaseBook
    give_way: Callable[[float], None]
    """Told for how many seconds somebody is going to need the machine."""
    make_room: Callable[[float, int | None], object]
    """The same, and what is in the way is gone when it returns; also told which process asks."""


def routes(sources: AdviceSources) -> tuple[Route, ...]:
    """What can be asked of the tuner."""

    def advise(call: Call) -> Advice:
        return _advise(sources, call.body, call.peer.pid)

    def leases(_call: Call) -> Leases:
        return Leases(leases=tuple(_shown(lease) for lease in sources.book.all()))

    def renew(call: Call) -> LeaseAnswer:
        lease = sources.book.renew(call.path["id"], call.body.seconds, call.peer.pid)
        if lease is None:
            raise _no_lease()
        sources.give_way(lease.seconds)
        return _shown(lease)

    def give_back(call: Call) -> None:
        if not sources.book.give_back(call.path["id"], call.peer.pid):
            raise _no_lease()

    gone = {404: "There is no such lease, it is over, or it is another process's."}
    return (
        Route(
            method="POST",
            path="/v1/advice",
            body=Ask,
            gives=Advice,
            answer=advise,
            summary="Settings that fit what is free right now, with a lease on it.",
            refusals={
                404: "There is no profile of this model that holds here.",
                409: "Nothing that was proven fits now; the sentence says what would.",
                503: "What is free is not known, or there are too many leases or connections.",
            },
        ),
        Route(method="GET", path="/v1/leases", gives=Leases, answer=leases, summary="All leases that last."),
        Route(
            method="POST",
            path="/v1/leases/{id}/renew",
            body=Renewal,
            gives=LeaseAnswer,
            answer=renew,
            summary="Let a lease last from now.",
            refusals=gone,
        ),
        Route(
            method="DELETE",
            path="/v1/leases/{id}",
            gives=None,
            answer=give_back,
            summary="Give a lease back.",
            refusals=gone,
        ),
    )


def lease_metrics(book: LeaseBook) -> Callable[[], Iterable[Metric]]:
    """What is promised, for Prometheus."""
    from doctor.daemon.api.metrics import Series

    def families() -> Iterable[Metric]:
        series = Series()
        held = book.all()
        series.gauge("leases", "Leases that last.", len(held))
        for device in sorted({lease.device for lease in held}):
            promised = sum(lease.bytes for lease in held if lease.device == device)
            series.gauge("lease_bytes", "Memory that leases promise in all.", promised, device=device)
            series.gauge(
                "lease_unused_bytes", "Promised and not used yet.", book.set_aside(device), device=device
            )
        return series.families()

    return families


def _advise(sources: AdviceSources, ask: Ask, pid: int | None) -> Advice:
    device, profile, path = _profile(sources, ask)
    fitting, never_proven = needs(profile, ask.width, ask.height, ask.batch)
    if ask.lease and fitting:
        # Before it is looked what is free: a study that runs holds memory that it gives back to whoever asks.
        sources.make_room(ask.seconds, pid)
    try:
        lease, place, can_have = sources.book.give(
            device, [need.bytes for need in fitting], lambda: _known_free(sources, device), pid, ask.seconds
        )
    except LeaseRefused as error:
        raise Refused(503, str(error), wait_seconds=10.0) from error
    if lease is None:
        raise Refused(409, _nothing_fits(profile, ask, fitting, never_proven, can_have))
    if not ask.lease:
        sources.book.give_back(lease.id, pid)
    need = fitting[place]
    return Advice(
        model=ask.model,
        device=device,
        width=ask.width,
        height=ask.height,
        batch=ask.batch,
        settings=_as_mapping(need),
        rung=need.rung,
        bytes=need.bytes,
        basis=need.basis.value,
        free_bytes=can_have,
        profile=path,
        skipped=(*never_proven, *(does_not_fit(each, can_have) for each in fitting[:place])),
        lease=_shown(lease) if ask.lease else None,
    )


def _profile(sources: AdviceSources, ask: Ask) -> tuple[str, Profile, str]:
    """The device, the profile that holds on it, and its file. Raises Refused."""
    facts = sources.facts()
    try:
        target = choose_target(facts, ask.device)
    except SdoctorError as error:
        raise Refused(409, str(error)) from error
    found = match(ask.model, fingerprint_of(facts, target))
    if found.profile is None:
        # The name comes from outside and may be a path: a command is only offered where it is one word.
        raise Refused(404, f"{found.reason[:1].upper()}{found.reason[1:]}; 'sdoctor tune MODEL' makes one.")
    return target.device, found.profile, str(found.path)


def _known_free(sources: AdviceSources, device: str) -> int:
    free = sources.free(device)
    if free is None:
        raise Refused(503, f"It is not known what is free on {device} now.", wait_seconds=2.0)
    return free


def _nothing_fits(
    profile: Profile,
    ask: Ask,
    fitting: tuple[Need, ...],
    never_proven: tuple[Skipped, ...],
    can_have: int,
) -> str:
    size = f"{ask.width}x{ask.height}, batch {ask.batch}"
    if not fitting:
        proven = (
            "; ".join(f"'{each.rung}' {each.why}" for each in never_proven) or "the profile has no ladder"
        )
        return f"No settings of this profile were proven at {size} ({proven}); tune this size."
    least = min(fitting, key=lambda need: need.bytes)
    words = f"Nothing fits at {size}: '{least.rung}' needs {gib(least.bytes)}, and {gib(max(0, can_have))} can be had."
    largest = largest_that_fits(profile, can_have)
    return words + (f" {largest[0]}x{largest[0]} would fit with '{largest[1]}'." if largest else "")


def _as_mapping(need: Need) -> dict[str, str | int | None]:
    values: Mapping[str, str | int | None] = msgspec.to_builtins(need.settings)
    return dict(values)


def _shown(lease: Lease) -> LeaseAnswer:
    return LeaseAnswer(
        id=lease.id,
        device=lease.device,
        bytes=lease.bytes,
        pid=lease.pid,
        seconds_left=max(0.0, lease.expires - time.monotonic()),
    )


def _no_lease() -> Refused:
    return Refused(404, "There is no such lease (any more); ask for advice again.")
