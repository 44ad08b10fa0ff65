"""Which settings a plan accepts: more than this machine can set up, since it is not this machine that is asked about."""

from __future__ import annotations

from dataclasses import replace

from doctor.errors import UsageError
from tuner.knobs import KNOBS, knob, refusals
from tuner.knobs.backends import PACKAGES
from tuner.plan_weights import WEIGHTS, is_gguf
from tuner.settings import Settings, setting_names
from tuner.target import Target

_PACKAGES = ("accelerate", "bitsandbytes", "xformers", "triton", "openvino", *PACKAGES.values())


def check_settings(settings: Settings, target: Target) -> None:
    """Raises UsageError that says why these settings cannot be, on this device or beside each other."""
    reasons = list(_unknown_values(settings))
    if not reasons:
        # A plan may ask about packages that are not installed; for the rest the knobs' own reasons hold.
        equipped = replace(target, packages=(*target.packages, *_PACKAGES))
        # GGUF's types are files of their own, which a plan can ask about and no pipeline is turned to.
        known = settings if settings.weights in knob("weights").values else settings.but(weights="native")
        reasons = refusals(known, equipped)
        if is_gguf(settings.weights) and settings.offload == "sequential":
            # accelerate makes a layer's parameters anew (utils/modeling.py, set_module_tensor_to_device) and does
            # not hand on the type of GGUF's.
            reasons.append(
                f"weights={settings.weights}: GGUF's layers cannot be brought back one by one; use offload=none, model "
                "or group"
            )
    if reasons:
        raise UsageError("; ".join(reasons) + ".")


def values_of(name: str) -> tuple[str, ...]:
    """All values that a setting can have in a plan; () for a number."""
    if name == "weights":
        return WEIGHTS
    return next((knob.values for knob in KNOBS if knob.name == name), ())


def _unknown_values(settings: Settings) -> list[str]:
    found = []
    for name in setting_names():
        allowed, value = values_of(name), getattr(settings, name)
        if allowed and value not in allowed:
            found.append(f"{name}={value} does not exist; the values are {', '.join(allowed)}")
    return found
