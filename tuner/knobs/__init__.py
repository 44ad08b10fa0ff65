"""KNOBS: everything the tuner may turn, in the order in which it is done to a pipeline.

To add a knob: one file beside this one, one line in the list, and its field in ``tuner.settings.Settings``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from doctor.errors import UsageError
from tuner.knobs import (
    attention,
    compiler,
    component_precision,
    cuda_math,
    fewer_steps,
    fused_qkv,
    memory_format,
    offload,
    precision,
    step_cache,
    threads,
    vae,
    weights,
)
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

KNOBS: tuple[Knob, ...] = (
    # Before precision, which leaves alone what has one of its own.
    component_precision.VAE,
    component_precision.TEXT,
    precision.KNOB,
    threads.KNOB,
    cuda_math.TF32,
    cuda_math.CUDNN_BENCHMARK,
    attention.KNOB,
    # After attention, which would put its own processors in the place of the fused ones.
    fused_qkv.KNOB,
    memory_format.KNOB,
    vae.SLICING,
    vae.TILING,
    # It takes the layers as the ones above leave them.
    weights.KNOB,
    step_cache.KNOB,
    fewer_steps.KNOB,
    # It compiles the modules as the ones above leave them.
    compiler.KNOB,
    # Last: its hooks must find the modules as the others leave them.
    offload.KNOB,
)


def knob(name: str) -> Knob:
    """The knob of that name. Raises KeyError."""
    return next(item for item in KNOBS if item.name == name)


def refusals(settings: Settings, target: Target) -> list[str]:
    """Why these settings cannot be used on this device: one clause each; empty if they can."""
    reasons = []
    for item in KNOBS:
        value = getattr(settings, item.name)
        if item.values and value not in item.values:
            reasons.append(f"{item.name}={value} does not exist; the values are {', '.join(item.values)}")
            continue
        reason = item.refusal(value, settings, target)
        if reason:
            reasons.append(f"{item.name}={value}: {reason}")
    return reasons


def turned(settings: Settings, name: str, value: Value) -> Settings:
    """``settings`` with one knob turned, and those put back that mean nothing beside its new value."""
    return settings.but(**knob(name).puts_back(value), **{name: value})


def settings_from(base: Settings, changes: dict[str, Value], target: Target) -> Settings:
    """``base`` with the values that a user typed. Raises UsageError if they cannot be used here."""
    settings = replace(base, **changes)  # type: ignore[arg-type]  # names come from parse_settings
    reasons = refusals(settings, target)
    if reasons:
        raise UsageError("; ".join(reasons) + ".")
    return settings


def is_lossless(settings: Settings, than: Settings) -> bool:
    """Whether the change to these settings leaves the picture as it is, up to floating-point noise."""
    return all(knob(name).lossless for name in settings.differences(than))


def needs_fresh_worker(before: Settings, after: Settings) -> bool:
    """Whether the change from one to the other cannot be made on the loaded pipeline."""
    changed = after.differences(before)
    return any(not knob(name).in_place for name in changed)


def apply_settings(pipe: Any, settings: Settings, device: str) -> tuple[str, ...]:
    """Do all settings to a pipeline that was loaded in their precision; returns remarks of those that changed nothing."""
    remarks = (item.apply(pipe, getattr(settings, item.name), device) for item in KNOBS)
    return tuple(remark for remark in remarks if remark)


def apply_in_place(pipe: Any, before: Settings, after: Settings, device: str) -> tuple[str, ...]:
    """Change a pipeline from one setting to the other where ``needs_fresh_worker`` says that can be done."""
    changed = after.differences(before)
    remarks = (item.apply(pipe, changed[item.name], device) for item in KNOBS if item.name in changed)
    return tuple(remark for remark in remarks if remark)


def late_remarks(pipe: Any) -> tuple[str, ...]:
    """What turned out only while the pipeline ran, of all knobs."""
    return tuple(remark for item in KNOBS for remark in item.late(pipe))


def read_setup(pipe: Any) -> dict[str, str]:
    """What is really in force on a pipeline, knob by knob."""
    return {item.name: item.read(pipe) for item in KNOBS}


def default_settings(target: Target) -> Settings:
    """What to use on this device before anything was measured: 16 bits where the device is known to like them."""
    if target.is_cpu:
        return Settings(precision="bf16" if target.fast_bf16 else "fp32")
    return Settings(precision="fp16")


def low_memory_settings(base: Settings, target: Target) -> Settings:
    """The most frugal settings on this device, whatever they cost in speed (``--low-memory``)."""
    frugal = base.but(vae_slicing="on", vae_tiling="on", attention="sdpa")
    return frugal if target.is_cpu else frugal.but(offload="sequential")
