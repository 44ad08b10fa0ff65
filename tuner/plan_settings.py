"""Which settings a plan accepts: more than this machine can set up, since it is not this machine that is asked about."""

from __future__ import annotations

from doctor.errors import UsageError
from tuner.knobs import KNOBS, refusals
from tuner.knobs.backends import BACKENDS, HALF_ONLY, ON_A_CPU
from tuner.plan_weights import WEIGHTS
from tuner.settings import Settings, setting_names
from tuner.target import Target

_COMPILERS = ("none", "inductor", "openvino")


def check_settings(settings: Settings, target: Target) -> None:
    """Raises UsageError that says why these settings cannot be, on this device or beside each other."""
    reasons = list(_unknown_values(settings))
    if not reasons:
        plain = settings.but(
            compile="none",
            weights="native",
            attention="sdpa" if settings.attention in BACKENDS else settings.attention,
        )
        reasons = [*refusals(plain, target), *_contradictions(settings, target)]
    if reasons:
        raise UsageError("; ".join(reasons) + ".")


def values_of(name: str) -> tuple[str, ...]:
    """All values that a setting can have in a plan; () for a number."""
    if name == "compile":
        return _COMPILERS
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


def _contradictions(settings: Settings, target: Target) -> list[str]:
    found = []
    if settings.precision == "fp32" and settings.attention.startswith(HALF_ONLY):
        found.append(
            f"attention={settings.attention} and precision=fp32 contradict each other: this kernel computes in "
            "16 bits only; use precision=bf16 or attention=sdpa"
        )
    if target.is_cpu and settings.attention in BACKENDS and settings.attention not in ON_A_CPU:
        found.append(f"attention={settings.attention} is a kernel for a GPU, and this runs on the CPU")
    if settings.compile == "openvino" and not target.is_cpu:
        found.append("compile=openvino runs on a processor, not on an NVIDIA card; use compile=inductor")
    if settings.compile != "none" and settings.offload == "sequential":
        found.append(
            f"compile={settings.compile} and offload=sequential contradict each other: the hooks of every layer cut "
            "the program to pieces; use offload=model"
        )
    if settings.weights == "nf4" and target.is_cpu:
        found.append("weights=nf4 needs bitsandbytes on a GPU, and this runs on the CPU")
    if settings.weights in ("int8", "nf4") and settings.offload == "sequential":
        found.append(
            f"weights={settings.weights} and offload=sequential contradict each other: bitsandbytes' weights cannot "
            "be moved layer by layer (before accelerate 1.13); use offload=model"
        )
    return found
