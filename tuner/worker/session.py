"""Session: one pipeline in one worker; loads it, changes it, runs it, and says what happens."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doctor.trace import Phase
from tuner.events import Apply, Finished, Generate, Load, Loaded, PhaseEnded, PhaseStarted, Pulse, Stepped
from tuner.knobs import apply_in_place, apply_settings, read_setup
from tuner.models import resolve
from tuner.settings import Request, Settings
from tuner.worker.allocator import weights_in_their_own_mappings
from tuner.worker.budget import bare_data, set_budget
from tuner.worker.channel import Channel
from tuner.worker.meter import Meter, meter_for
from tuner.worker.picture import save_png

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
        self._loaded: Loaded | None = None
        self.phase: Phase | None = None
        self._working = threading.Event()
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    # ------------------------------------------------------------------ loading

    def load(self, command: Load) -> None:
        """Build the pipeline under the budget, set it up, and report how it really stands."""
        from tuner.worker.build import describe, load_pipeline, torch_dtype
        from tuner.worker.preload import import_classes

        started = time.perf_counter()
        reference = resolve(command.model, allow_pickle=command.allow_pickle)
        import_classes(reference)
        self._meter = meter_for(command.device)
        self._device, self._settings, self._model = command.device, command.settings, command.model
        bare = bare_data()
        ceiling = max(command.budget or 0, command.ceiling or 0)
        if ceiling and command.device == "cpu":
            set_budget("cpu", ceiling, bare)
        with self._phase(Phase.LOAD), self._pulse(), weights_in_their_own_mappings():
            self._pipe = load_pipeline(
                reference,
                torch_dtype(command.settings.precision),
                allow_pickle=command.allow_pickle,
            )
            self._pipe.set_progress_bar_config(disable=True)
            info = describe(self._pipe)
            if command.budget is not None:
                if command.settings.offload == "none" and info.weights_bytes > command.budget:
                    raise MemoryError(
                        f"the weights are {info.weights_bytes} bytes and the budget {command.budget}"
                    )
                set_budget(command.device, command.budget, bare)
            remarks = apply_settings(self._pipe, command.settings, command.device)
        self._loaded = Loaded(
            setup=read_setup(self._pipe),
            remarks=(*remarks, *(remark.rstrip(".") for remark in info.remarks)),
            pipeline=info.pipeline_class,
            weights_bytes=info.weights_bytes,
            size_factor=info.size_factor,
            native_size=info.native_size,
            default_steps=info.default_steps,
            seconds=time.perf_counter() - started,
        )
        self._channel.send(self._loaded)

    def apply(self, command: Apply) -> None:
        """Change settings in place and report the new setup."""
        remarks = apply_in_place(self._pipe, self._settings, command.settings, self._device)
        self._settings = command.settings
        if self._loaded is None:
            raise RequestRefused("No pipeline is loaded.")
        fresh = {name: getattr(self._loaded, name) for name in self._loaded.__struct_fields__}
        self._loaded = Loaded(**(fresh | {"setup": read_setup(self._pipe), "remarks": remarks}))
        self._channel.send(self._loaded)

    # --------------------------------------------------------------- generating

    def generate(self, command: Generate) -> None:
        """Run the pipeline once; phases, steps and the ending go out as events."""
        request = command.request
        self._check(request)
        self._channel.interrupted.clear()
        started = time.perf_counter()
        with self._pulse():
            images = self._run(request)
        seconds = time.perf_counter() - started
        if command.outputs:
            with self._phase(Phase.SAVE):
                self._save(images, command, seconds)
        self._channel.send(Finished(seconds=seconds, images=command.outputs))

    def _check(self, request: Request) -> None:
        factor = self._loaded.size_factor if self._loaded else 8
        if request.width % factor or request.height % factor:
            raise RequestRefused(
                f"{request.width}x{request.height} cannot be made: "
                f"this pipeline needs a width and a height divisible by {factor}."
            )

    def _run(self, request: Request) -> list[Any]:
        import torch

        progress = _Progress(self)
        arguments: dict[str, Any] = {
            "prompt": [request.prompt] * request.batch,
            "width": request.width,
            "height": request.height,
            "num_inference_steps": request.steps,
            # One generator per picture, so that picture n of a batch is the picture of seed + n.
            "generator": [torch.Generator("cpu").manual_seed(request.seed + n) for n in range(request.batch)],
        }
        accepted = inspect.signature(type(self._pipe).__call__).parameters
        if request.guidance is not None:
            arguments["guidance_scale"] = request.guidance
        if request.negative_prompt is not None and "negative_prompt" in accepted:
            arguments["negative_prompt"] = [request.negative_prompt] * request.batch
        if "use_resolution_binning" in accepted:
            # PixArt and Sana would compute another size and stretch the picture to the one that was asked for.
            arguments["use_resolution_binning"] = False
        if "callback_on_step_end" in accepted:
            arguments["callback_on_step_end"] = progress.step_ended
        with torch.inference_mode(), progress.watching(self._pipe):
            try:
                images = self._pipe(**arguments).images
            except InterruptedByUser:
                # The hooks of model offload are only rewound at the end of a complete call.
                self._pipe.maybe_free_model_hooks()
                raise
        return list(images)

    def _save(self, images: list[Any], command: Generate, seconds: float) -> None:
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
                "steps": request.steps,
                "guidance": request.guidance,
                "settings": {name: getattr(self._settings, name) for name in self._settings.__slots__},
                "setup": self._loaded.setup if self._loaded else {},
                "device": self._device,
                "batch": request.batch,
                "seconds": round(seconds, 3),
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
        self._meter.reset_peak()
        self.phase = phase
        self._since = time.perf_counter()
        self._channel.send(PhaseStarted(phase=phase))

    def end(self) -> None:
        """Report the running phase: wall time and peak of memory."""
        if self.phase is None:
            return
        self._meter.synchronise()
        allocated, reserved = self._meter.peak()
        record = PhaseEnded(
            phase=self.phase,
            seconds=time.perf_counter() - self._since,
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


class _Progress:
    """Turns the pipeline's own callbacks and entry points into phases and steps."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._done = 0
        self._last = 0.0

    @contextmanager
    def watching(self, pipe: Any) -> Iterator[None]:
        """Wrap ``encode_prompt`` and ``vae.decode`` while the pipeline runs; phases follow their calls."""
        vae = getattr(pipe, "vae", None)
        undo = [
            _wrap(pipe, "encode_prompt", after=self._encoded),
            _wrap(vae, "decode", before=self._decoding),
        ]
        self._session.begin(Phase.ENCODE)
        if undo[0] is None:
            self._encoded()
        try:
            yield
            self._session.end()
        finally:
            for restore in undo:
                if restore is not None:
                    restore()

    def _encoded(self) -> None:
        if self._session.phase is Phase.ENCODE:
            self._session.end()
            self._session.begin(Phase.DENOISE)
            self._last = time.perf_counter()

    def _decoding(self) -> None:
        if self._session.phase is Phase.DENOISE:
            self._session.end()
            self._session.begin(Phase.DECODE)

    def step_ended(self, pipe: Any, _index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        """diffusers' ``callback_on_step_end``."""
        self._session.synchronise()
        now = time.perf_counter()
        self._done += 1
        # Some schedulers take a step more than they were asked for (PNDM); theirs is the true count.
        self._session.stepped(self._done, len(pipe.scheduler.timesteps), now - self._last)
        self._last = now
        return values


def _wrap(
    owner: Any, name: str, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> Callable[[], None] | None:
    """Let ``before`` and ``after`` be called around ``owner.name``; returns what undoes it, None if it is not there."""
    original = getattr(owner, name, None)
    if original is None:
        return None

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before:
            before()
        result = original(*args, **kwargs)
        if after:
            after()
        return result

    setattr(owner, name, wrapper)
    return lambda: delattr(owner, name)
