"""Session: one pipeline in one worker; loads it, changes it, runs it, and says what happens."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from doctor.trace import Phase
from tuner.architecture import architecture_of
from tuner.events import (
    Apply,
    CompileEnded,
    CompileStarted,
    Finished,
    Generate,
    Load,
    Loaded,
    PhaseEnded,
    PhaseStarted,
    Pulse,
    Stepped,
)
from tuner.knobs import apply_in_place, apply_settings, late_remarks, read_setup
from tuner.knobs.fewer_steps import steps_for
from tuner.models import Recommended, recommended, resolve, weights_bytes
from tuner.settings import Request, Settings
from tuner.worker.allocator import give_back_holes, map_blocks_for, weights_in_their_own_mappings
from tuner.worker.budget import bare_data, set_budget
from tuner.worker.channel import Channel
from tuner.worker.collecting import without_collecting
from tuner.worker.compiling import compiled_seconds, drawing_clock, listen
from tuner.worker.following import Following
from tuner.worker.meter import Meter, meter_for
from tuner.worker.picture import save_png
from tuner.worker.preview import Previewer

_PULSE_SECONDS = 0.5


class InterruptedByUser(Exception):
    """The generation was stopped on request."""


class RequestRefused(Exception):
    """The pipeline cannot make what was asked for; the message says why."""


class Session:
    """Holds the pipeline. Not made for several threads; only ``Channel.interrupted`` comes from outside."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._pipe: Any = None
        self._meter: Meter = meter_for("cpu")
        self._settings = Settings()
        self._device = "cpu"
        self._model = ""
        self._model_remarks: tuple[str, ...] = ()
        self._loaded: Loaded | None = None
        self._recommended = Recommended()
        self.phase: Phase | None = None
        self._working = threading.Event()
        listen(
            lambda what, from_disk: channel.send(CompileStarted(what=what, from_disk=from_disk)),
            lambda what, seconds, from_disk: channel.send(
                CompileEnded(what=what, seconds=seconds, from_disk=from_disk)
            ),
        )
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    # ------------------------------------------------------------------ loading

    def load(self, command: Load) -> None:
        """Build the pipeline under the budget, set it up, and report how it really stands."""
        with without_collecting():
            from tuner.worker.build import describe, dtypes_of, load_pipeline, torch_dtype
            from tuner.worker.preload import import_classes

        started = time.perf_counter()
        reference = resolve(command.model, allow_pickle=command.allow_pickle)
        with without_collecting():
            import_classes(reference, command.settings)
        self._recommended = recommended(reference)
        if command.settings.compile == "openvino":
            from tuner.worker.openvino_library import start_engine

            # Before anything is counted.
            start_engine()
        self._meter = meter_for(command.device)
        self._device, self._settings, self._model = command.device, command.settings, command.model
        bare = bare_data()
        ceiling = max(command.budget or 0, command.ceiling or 0)
        if ceiling and command.device == "cpu":
            set_budget("cpu", ceiling, bare)
        with self._phase(Phase.LOAD), self._pulse(), weights_in_their_own_mappings():
            # Known without loading, where it is: loading under a limit that cannot hold the weights may hang, since
            # the libraries load in threads and a thread that finds no memory to start never reports.
            quantised = command.settings.weights != "native"
            if not quantised:
                precision = command.settings.narrowest_precision()
                _refuse_too_many_weights(weights_bytes(reference, precision), command)
            self._pipe = load_pipeline(
                reference,
                torch_dtype(command.settings.precision),
                dtypes=dtypes_of(command.settings),
                allow_pickle=command.allow_pickle,
            )
            self._pipe.set_progress_bar_config(disable=True)
            # Loaded weights may be more than the budget; the quantised ones have to fit it.
            remarks = self._set_up(command) if quantised else ()
            info = describe(self._pipe)
            if command.budget is not None:
                _refuse_too_many_weights(info.weights_bytes, command)
                set_budget(command.device, command.budget, bare)
            if not quantised:
                remarks = self._set_up(command)
        if command.device == "cpu":
            map_blocks_for(info.weights_bytes)
        self._model_remarks = tuple(remark.rstrip(".") for remark in info.remarks)
        self._loaded = Loaded(
            setup=read_setup(self._pipe),
            remarks=(*remarks, *self._model_remarks),
            pipeline=info.pipeline_class,
            architecture=architecture_of(self._pipe),
            weights_bytes=info.weights_bytes,
            size_factor=info.size_factor,
            native_size=info.native_size,
            default_steps=self._recommended.steps or info.default_steps,
            seconds=time.perf_counter() - started,
        )
        self._channel.send(self._loaded)

    def _set_up(self, command: Load) -> tuple[str, ...]:
        return apply_settings(self._pipe, command.settings, command.device)

    def apply(self, command: Apply) -> None:
        """Change settings in place and report the new setup."""
        remarks = apply_in_place(self._pipe, self._settings, command.settings, self._device)
        self._settings = command.settings
        if self._loaded is None:
            raise RequestRefused("No pipeline is loaded.")
        fresh = {name: getattr(self._loaded, name) for name in self._loaded.__struct_fields__}
        self._loaded = Loaded(
            **(fresh | {"setup": read_setup(self._pipe), "remarks": (*remarks, *self._model_remarks)})
        )
        self._channel.send(self._loaded)

    # --------------------------------------------------------------- generating

    def generate(self, command: Generate) -> None:
        """Run the pipeline once; phases, steps and the ending go out as events."""
        request = command.request
        self._check(request)
        self._channel.interrupted.clear()
        started, compiled = drawing_clock(), compiled_seconds()
        with self._pulse():
            images, not_finite = self._run(command, look_for_nan=bool(command.samples))
        seconds, compiled = drawing_clock() - started, compiled_seconds() - compiled
        if command.outputs:
            with self._phase(Phase.SAVE):
                self._save(images, command, seconds, compiled)
        for image, path in zip(images, command.samples, strict=False):
            with suppress(OSError):
                image.save(path, format="PNG", compress_level=1)
        self._channel.send(
            Finished(
                seconds=seconds,
                images=command.outputs,
                not_finite=not_finite,
                remarks=late_remarks(self._pipe),
            )
        )

    def _check(self, request: Request) -> None:
        factor = self._loaded.size_factor if self._loaded else 8
        if request.width % factor or request.height % factor:
            raise RequestRefused(
                f"{request.width}x{request.height} cannot be made: "
                f"this pipeline needs a width and a height divisible by {factor}."
            )

    def _run(self, command: Generate, *, look_for_nan: bool) -> tuple[list[Any], Phase | None]:
        """The pictures, and the phase in which values that are no numbers appeared."""
        import torch

        request = command.request
        following = Following(self, look_for_nan=look_for_nan)
        previewer = self._previewer(command)
        arguments: dict[str, Any] = {
            "prompt": [request.prompt] * request.batch,
            "width": request.width,
            "height": request.height,
            "num_inference_steps": steps_for(self._pipe, request.steps),
            # One generator per picture, so that picture n of a batch is the picture of seed + n.
            "generator": [torch.Generator("cpu").manual_seed(request.seed + n) for n in range(request.batch)],
        }
        accepted = inspect.signature(type(self._pipe).__call__).parameters
        guidance = self._guidance(request)
        if guidance is not None:
            arguments["guidance_scale"] = guidance
        if request.negative_prompt is not None and "negative_prompt" in accepted:
            arguments["negative_prompt"] = [request.negative_prompt] * request.batch
        if "use_resolution_binning" in accepted:
            # PixArt and Sana would compute another size and stretch the picture to the one that was asked for.
            arguments["use_resolution_binning"] = False
        if "callback_on_step_end" in accepted:
            arguments["callback_on_step_end"] = following.step_ended
            following.afterwards = previewer.stepped if previewer is not None else None
        watching = previewer.watching() if previewer is not None else nullcontext()
        with torch.inference_mode(), following.call_of(self._pipe), watching:
            try:
                images = self._pipe(**arguments).images
            except InterruptedByUser:
                # The hooks of model offload are only rewound at the end of a complete call.
                self._pipe.maybe_free_model_hooks()
                raise
        return list(images), following.not_finite

    def _previewer(self, command: Generate) -> Previewer | None:
        if command.preview_seconds is None:
            return None
        size = command.request.width, command.request.height
        return Previewer(self._pipe, self._channel.send, command.preview_seconds, size)

    def _guidance(self, request: Request) -> float | None:
        """What was asked for, else what the model's makers recommend; None leaves the pipeline's own default."""
        return self._recommended.guidance if request.guidance is None else request.guidance

    def _save(self, images: list[Any], command: Generate, seconds: float, compiled: float) -> None:
        request = command.request
        for number, (image, path) in enumerate(zip(images, command.outputs, strict=True)):
            record = {
                "schema": "sdoctor.picture/1",
                "model": self._model,
                "prompt": request.prompt,
                "negative_prompt": request.negative_prompt,
                "seed": request.seed + number,
                "width": request.width,
                "height": request.height,
                "steps": steps_for(self._pipe, request.steps),
                "guidance": self._guidance(request),
                "settings": {name: getattr(self._settings, name) for name in self._settings.__slots__},
                "setup": self._loaded.setup if self._loaded else {},
                "device": self._device,
                "batch": request.batch,
                "seconds": round(seconds, 3),
                **({"compile_seconds": round(compiled, 3)} if compiled else {}),
                "phases": {record.phase.value: round(record.seconds, 3) for record in self._records},
            }
            save_png(image, Path(path), request.prompt, record)

    # ---------------------------------------------------------- phases and pulse

    @contextmanager
    def _phase(self, phase: Phase) -> Iterator[None]:
        self.begin(phase)
        yield
        self.end()

    def begin(self, phase: Phase) -> None:
        """Announce a phase and start its clock and its peak."""
        if self.phase is None or phase in (Phase.LOAD, Phase.ENCODE):
            self._records: list[PhaseEnded] = []
        self._meter.synchronise()
        if self._device == "cpu":
            give_back_holes()
        self._meter.reset_peak()
        self.phase = phase
        self._since = drawing_clock()
        self._channel.send(PhaseStarted(phase=phase))

    def end(self) -> None:
        """Report the running phase: wall time and peak of memory."""
        if self.phase is None:
            return
        self._meter.synchronise()
        allocated, reserved = self._meter.peak()
        record = PhaseEnded(
            phase=self.phase,
            seconds=drawing_clock() - self._since,
            peak_allocated=allocated,
            peak_reserved=reserved,
        )
        self._records.append(record)
        self._channel.send(record)

    def stepped(self, index: int, total: int, seconds: float) -> None:
        """Report one step; stop here if the user asked for it."""
        self._channel.send(Stepped(index=index, total=total, seconds=seconds))
        if self._channel.interrupted.is_set():
            raise InterruptedByUser

    def synchronise(self) -> None:
        """Wait for the device."""
        self._meter.synchronise()

    @contextmanager
    def _pulse(self) -> Iterator[None]:
        self._working.set()
        try:
            yield
        finally:
            self._working.clear()

    def _beat(self) -> None:
        """The pulse: a thread of its own, started before any budget, since a thread started under one may hang."""
        while self._working.wait():
            time.sleep(_PULSE_SECONDS)
            try:
                allocated, reserved = self._meter.now()
                if self._working.is_set():
                    self._channel.send(Pulse(allocated=allocated, reserved=reserved))
            except MemoryError:
                continue  # under a tight budget even this line may find no room; the next one may


def _refuse_too_many_weights(needed: int | None, command: Load) -> None:
    """Raise MemoryError if the weights alone are more than the budget. Offloaded weights need not fit."""
    if command.budget is None or needed is None or command.settings.offload != "none":
        return
    if needed > command.budget:
        raise MemoryError(f"the weights are {needed} bytes and the budget is {command.budget}")
