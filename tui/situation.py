"""Situation: what every command that runs a model needs first: facts, device, budget, model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from doctor.errors import NotInOrder
from doctor.facts import Facts
from doctor.sizes import gib, parse_amount
from tuner.fingerprint import Fingerprint, fingerprint_of
from tuner.models import ModelRef, address_of, resolve, weights_bytes
from tuner.settings import Settings
from tuner.target import Target, check_budget, choose_target, holds_budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a model shall run."""

    facts: Facts
    target: Target
    fingerprint: Fingerprint
    model: ModelRef
    ceiling: int | None
    """Bytes of host memory that loading may take for a while; None if unknown."""
    budget: int | None
    """Bytes that a worker may use: what was asked for, else what is free; None if that is unknown."""

    @property
    def limits(self) -> tuple[int | None, int | None]:
        """(budget, ceiling) that a worker is really held to; None where this system cannot."""
        return (self.budget, self.ceiling) if holds_budgets(self.target.device) else (None, None)

    @property
    def address(self) -> str:
        """The model as a worker and a profile name it: wherever they stand, it is the same model."""
        return address_of(self.model)


def survey(model: str, device: str, memory: str | None, *, allow_pickle: bool = False) -> Situation:
    """Look at the model reference first (cheap), then at the machine. Raises UsageError.

    A daemon that runs makes room before it is looked what is free, and what other programs have leases on is not free.
    """
    reference = resolve(model, allow_pickle=allow_pickle)
    from doctor.gather import gather
    from tuner.client import make_room

    promised = make_room()
    facts = gather()
    target = choose_target(facts, device)
    if target.memory_free is not None:
        target = replace(target, memory_free=max(0, target.memory_free - promised.get(target.device, 0)))
    asked = None if memory is None else parse_amount(memory, target.memory_total)
    return Situation(
        facts=facts,
        target=target,
        fingerprint=fingerprint_of(facts, target),
        model=reference,
        ceiling=choose_target(facts, "cpu").memory_free,
        budget=check_budget(asked, target),
    )


def refuse_what_cannot_fit(situation: Situation, settings: Settings) -> None:
    """Say at once that the weights alone are more than the budget, where that is known without loading them.

    Raises NotInOrder. With offloading the weights need not fit the device, so nothing is said then.
    """
    if situation.budget is None or settings.offload != "none" or settings.weights != "native":
        return
    needed = weights_bytes(situation.model, settings.narrowest_precision())
    if needed is not None and needed > situation.budget:
        raise NotInOrder(
            f"The weights of {situation.model.name} alone are {gib(needed)} in {settings.precision}, and "
            f"{gib(situation.budget)} may be used; give more --memory or take a smaller model."
        )
