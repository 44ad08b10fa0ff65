"""From a dry run to a device: does it fit, what does it take, how long may it last. Predicted, never measured."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.errors import UsageError
from tuner.caching_allocator import OutOfMemory
from tuner.calibration import Calibration
from tuner.device_model import HOST_BYTES, Device
from tuner.dryrun.rows import Answer
from tuner.knobs.attention import is_fused_of_torch
from tuner.knobs.fewer_steps import steps_left
from tuner.replay import Replay, StagePeak, replay, replay_on
from tuner.roofline import seconds_per_image
from tuner.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One combination of settings and size on one device. Bytes, pixels, seconds; all predicted."""

    settings: Settings
    width: int
    height: int
    batch: int
    fits: bool
    peak_allocated_bytes: int
    """As torch.cuda.max_memory_allocated would say; on a CPU, weights and live tensors."""
    peak_device_bytes: int
    """What the driver would show for the program: reserved memory and the CUDA context; on a CPU, resident memory."""
    stages: tuple[StagePeak, ...]
    steps: int
    """Denoising steps of the estimate, as many as the settings leave of those that are asked for."""
    seconds_per_image_estimate: float | None
    """None where the device's arithmetic is not known."""
    remarks: tuple[str, ...] = ()

    @property
    def worst_stage(self) -> str:
        """The stage that takes the most."""
        return max(self.stages, key=lambda stage: stage.peak_bytes).name


def predict(
    answer: Answer,
    settings: Settings,
    device: Device,
    *,
    steps: int | None = None,
    calibration: Calibration | None = None,
) -> Prediction:
    """What ``answer`` takes on ``device``. Raises UsageError if the device's memory is not known."""
    budget = device.budget
    if budget is None:
        raise UsageError(
            f"The memory of {device.name} is not known; give it with --memory, for example 8GiB."
        )
    # What was measured on this machine takes the place of the constant.
    calibration = calibration or Calibration(overhead_bytes=HOST_BYTES if device.is_cpu else 0)
    fits, run = _run(answer, settings, device, budget - calibration.overhead_bytes, calibration.growth)
    overhead = calibration.overhead_bytes + device.context_bytes
    steps = steps_left(steps or answer.steps, settings.fewer_steps)
    seconds = None
    if device.card is not None:
        seconds = seconds_per_image(
            answer, run.stages, device.card, settings.precision, settings.offload, steps
        )
    elif rate := calibration.rate_of(settings) or (
        device.processor.of(settings.precision) if device.processor else None
    ):
        operations = sum(stage.flops * (steps if stage.name == "denoise" else 1) for stage in run.stages)
        seconds = operations / rate / answer.batch
    return Prediction(
        settings=settings,
        width=answer.width,
        height=answer.height,
        batch=answer.batch,
        fits=fits,
        peak_allocated_bytes=max(stage.peak_bytes for stage in run.stages),
        peak_device_bytes=run.peak_reserved + overhead,
        stages=run.stages,
        steps=steps,
        seconds_per_image_estimate=seconds,
        remarks=(*answer.remarks, *_remarks(settings, device)),
    )


def _run(
    answer: Answer, settings: Settings, device: Device, budget: int, growth: float
) -> tuple[bool, Replay]:
    if device.capability is None:
        run = replay_on(answer, settings, device, growth)
        return run.peak_reserved <= budget, run
    try:
        return True, replay(answer, settings.offload, device.capability, budget)
    except OutOfMemory:
        return False, replay(answer, settings.offload, device.capability)


def _remarks(settings: Settings, device: Device) -> tuple[str, ...]:
    remarks = []
    if settings.compile not in ("none", "openvino") and not device.is_cpu:
        remarks.append(f"compile={settings.compile} is not modelled: the figures are those without it")
    if settings.step_cache != "none":
        remarks.append(
            f"the time estimate does not know what step_cache={settings.step_cache} saves: it counts whole steps"
        )
    if not is_fused_of_torch(settings.attention) and settings.attention not in ("sliced", "_native_math"):
        remarks.append(f"attention={settings.attention} is taken to need as much memory as sdpa")
    return tuple(remarks)
