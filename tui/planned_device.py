"""The device that a plan is made for: a card by name, an amount of memory, or this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from doctor.cards import find_card, meant_by
from doctor.sizes import MIB, parse_amount
from tuner.calibration import Calibration, calibrate
from tuner.device_model import (
    DESKTOP_BYTES,
    HOST_BYTES,
    Device,
    device_of_card,
    device_of_memory,
    device_of_target,
)
from tuner.dryrun.rows import Answer, Ask
from tuner.fingerprint import Fingerprint
from tuner.knobs import default_settings
from tuner.probe import Trial
from tuner.processor_rate import rate_of
from tuner.replay import Replay, replay_on
from tuner.settings import Settings
from tuner.target import Target

# Published and used in float16 from the start; what came later is published in bfloat16.
_FLOAT16_FAMILIES = ("StableDiffusionPipeline", "StableDiffusionXL", "LatentConsistency", "PixArt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """The device, and as what the knobs see it."""

    device: Device
    target: Target
    fingerprint: Fingerprint | None = None
    """Of this machine; None for any other card."""
    notes: tuple[str, ...] = ()

    @property
    def is_this_machine(self) -> bool:
        """Whether measurements made here apply."""
        return self.fingerprint is not None

    def calibrated(self, model: str, ask: Callable[[Ask], Answer]) -> Calibration | None:
        """What the profile of this model on this machine teaches; None if there is none."""
        from tuner.store import match

        profile = match(model, self.fingerprint).profile if self.fingerprint else None
        if profile is None:
            return None
        host = HOST_BYTES if self.device.is_cpu else None
        found = calibrate(model, profile.trials, ask, self._replayed, host_bytes=host)
        return found if found.trials else None

    def _replayed(self, answer: Answer, trial: Trial) -> Replay:
        return replay_on(answer, trial.settings, self.device)


def planned_device(gpu: str | None, memory: str | None) -> PlannedDevice:
    """Find it. Raises UsageError for a card that is not known, an amount that is none, memory that cannot be read."""
    if gpu is not None:
        card = find_card(gpu)
        device = (
            device_of_card(card)
            if memory is None
            else device_of_memory(parse_amount(memory, card.memory_bytes), card)
        )
        others = [other.name for other in meant_by(gpu) if other is not card]
        notes = [f"'{gpu}' was taken as {card.name}; there is also {', '.join(others)}"] if others else []
        notes.append(_assumed(device, desktop=card.is_desktop and memory is None))
        return PlannedDevice(device=device, target=target_of(device), notes=tuple(notes))
    if memory is not None and not _is_share(memory):
        device = device_of_memory(parse_amount(memory))
        return PlannedDevice(
            device=device, target=target_of(device), notes=(_assumed(device, desktop=False),)
        )
    from doctor.gather import gather
    from tuner.fingerprint import fingerprint_of
    from tuner.target import choose_target

    facts = gather()
    target = choose_target(facts)
    device = device_of_target(target, rate_of(facts.cpu))
    if memory is not None:
        share = parse_amount(memory, target.memory_total)
        if device.is_cpu:
            # Still this processor: a share of the host's memory makes no card of it.
            device = replace(device, usable_bytes=share)
            return PlannedDevice(device=device, target=target, fingerprint=fingerprint_of(facts, target))
        device = device_of_memory(share, device.card)
        return PlannedDevice(device=device, target=target_of(device))
    return PlannedDevice(device=device, target=target, fingerprint=fingerprint_of(facts, target))


def _assumed(device: Device, *, desktop: bool) -> str:
    """The constants that nothing here has measured."""
    words = f"about {device.context_bytes // MIB} MiB for the CUDA context (from published messages)"
    if desktop:
        words += f"; what a desktop holds is unknown, {DESKTOP_BYTES // MIB} MiB are assumed for it"
    return f"not measured: {words}"


def _is_share(memory: str) -> bool:
    """Whether it is a fraction, which only means something of this machine's own device."""
    try:
        return float(memory) <= 1
    except ValueError:
        return False


def target_of(device: Device) -> Target:
    """A card that is not here, with everything installed that a knob may ask for."""
    return Target(
        device="cuda:0",
        name=device.name,
        memory_total=device.memory_bytes,
        memory_free=device.usable_bytes,
        capability=device.capability,
        fast_bf16=device.capability is not None and device.capability >= (8, 0),
        packages=("accelerate", "xformers"),
    )


def starting_settings(target: Target, pipeline_class: str | None) -> Settings:
    """The rung that a plan begins with: 16 bits, bfloat16 where the model is published in it and the card has it."""
    settings = default_settings(target)
    if target.is_cpu or (pipeline_class or "").startswith(_FLOAT16_FAMILIES):
        return settings
    return settings.but(precision="bf16") if target.fast_bf16 else settings
