"""Profiles in a user's own program: find one, set a pipeline up as it says, and step down if memory runs out.

    import tuner

    profile = tuner.load_profile("builtin:sd15")
    pipe = profile.apply(pipe)

Importing this loads neither torch nor diffusers; ``apply`` runs where both are loaded already.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.errors import NotInOrder
from doctor.incidents import OUT_OF_MEMORY, Incident, record
from doctor.sizes import parse_amount
from doctor.trace import Outcome
from tuner.architecture import architecture_differences, architecture_of
from tuner.failures import outcome_of
from tuner.knobs import KNOBS, apply_in_place, apply_settings, read_setup
from tuner.knobs.fewer_steps import default_steps_of, steps_for
from tuner.settings import Settings
from tuner.stepping import Step, steps_below
from tuner.target import Target

if TYPE_CHECKING:
    from tuner.choosing import Choice
    from tuner.profile import Profile

_log = logging.getLogger("sdoctor")


def load_profile(model: str | Path = "builtin:tiny", *, device: str = "auto", force: bool = False) -> Profile:
    """The profile of a model (as ``sdoctor tune`` was told it), or the one in a .json file.

    Raises NotInOrder, in one sentence, if there is none, if it cannot be read, or if it was made on another
    machine or with other versions; ``force`` takes it all the same. Raises UsageError for a model that does
    not exist.
    """
    return choose_here(str(model), device=device, force=force).profile


def choose_here(model: str, *, device: str = "auto", force: bool = False) -> Choice:
    """The same with the file that it comes from."""
    from doctor.gather import gather
    from tuner.choosing import choose

    return choose(model, gather(), device=device, force=force)


def tune_pipeline(
    profile: Profile,
    pipe: Any,
    *,
    size: tuple[int | None, int | None],
    budget: int | str | None,
    device: str | None,
    force: bool,
) -> Tuned:
    """What ``Profile.apply`` does; see there."""
    width, height = size
    settings = profile.settings_for(width, height)[0] if width and height else profile.best
    return tune_with(profile, pipe, settings, budget=budget, device=device, force=force)


def tune_with(
    profile: Profile,
    pipe: Any,
    settings: Settings,
    *,
    budget: int | str | None = None,
    device: str | None = None,
    force: bool = False,
) -> Tuned:
    """The same with settings that were chosen already; the profile's ladder is below them."""
    if profile.architecture and not force:
        unlike = architecture_differences(architecture_of(pipe), profile.architecture)
        if unlike:
            raise NotInOrder(
                f"The profile of {profile.model} is for another architecture than this pipeline: "
                f"{'; '.join(unlike)}. Tune this model, or pass force=True."
            )
    where = device or ("cpu" if profile.fingerprint.device == "cpu" else "cuda")
    bytes_allowed = parse_amount(budget, _memory_of(where)) if isinstance(budget, str) else budget
    return Tuned(pipe, profile, settings, where, bytes_allowed)


class Tuned:
    """A pipeline with a profile's settings; called, and read, as the pipeline itself.

    If a call runs out of memory, it is made again one rung lower, with one line of warning in the log
    "sdoctor" and a record among the incidents. A budget holds while the pipeline runs. ``settings`` is what is
    in force now, ``setup`` what was read back from the pipeline, ``remarks`` what changed nothing here.
    """

    def __init__(
        self, pipe: Any, profile: Profile, settings: Settings, device: str, budget: int | None
    ) -> None:
        self.pipe = pipe
        self.profile = profile
        self.settings = settings
        self.device = device
        self.budget = budget
        target = Target(device=device, packages=_packages())
        self._steps = [
            step
            for step in steps_below(settings, profile, target)
            if _can_be_reached(settings, step.settings)
        ]
        if hasattr(pipe, "remove_all_hooks"):
            pipe.remove_all_hooks()
        self.remarks = apply_settings(pipe, settings, device)
        self.setup = read_setup(pipe)
        self._bare = _bare(pipe, device)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run the pipeline. Raises what it raises; out of memory only once the ladder has ended."""
        while True:
            self._set_budget()
            try:
                return self.pipe(*arguments, **self._with_its_steps(named))
            except Exception as error:
                self._lift_budget()
                if outcome_of(error) is not Outcome.OUT_OF_MEMORY:
                    raise
                step = self._steps.pop(0) if self._steps else None
                self._tell(str(error), step, named)
                if step is None:
                    raise
            finally:
                self._lift_budget()
            # Outside of the handler: until then the error holds the frames, and they hold the tensors.
            self._step_down(step)

    def _with_its_steps(self, named: dict[str, Any]) -> dict[str, Any]:
        if self.settings.fewer_steps == "off":
            return named
        asked = named.get("num_inference_steps", default_steps_of(self.pipe))
        return named if asked is None else named | {"num_inference_steps": steps_for(self.pipe, asked)}

    def __getattr__(self, name: str) -> Any:
        if name == "pipe":
            raise AttributeError(name)
        return getattr(self.pipe, name)

    def _step_down(self, step: Step) -> None:
        import gc

        import torch

        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()
        if hasattr(self.pipe, "maybe_free_model_hooks"):
            self.pipe.maybe_free_model_hooks()
        apply_in_place(self.pipe, self.settings, step.settings, self.device)
        self.settings = step.settings
        self.setup = read_setup(self.pipe)

    def _tell(self, message: str, step: Step | None, named: dict[str, Any]) -> None:
        words = "nothing more frugal is left to try" if step is None else f"trying again with {step.text()}"
        _log.warning("sdoctor: out of memory with %s; %s.", self.settings.text(), words)
        incident = Incident(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            kind=OUT_OF_MEMORY,
            source="script",
            model=self.profile.model,
            device=self.device,
            width=_number(named.get("width")),
            height=_number(named.get("height")),
            batch=_number(named.get("num_images_per_prompt")),
            budget_bytes=self.budget,
            settings=self.settings.text(),
            next_settings=None if step is None else step.settings.text(),
            message=message[:500],
        )
        try:
            record(incident)
        except OSError as error:
            _log.warning("sdoctor: the incident could not be recorded: %s.", error)

    def _set_budget(self) -> None:
        if self.budget is None:
            return
        from tuner.worker.budget import BudgetRefused, set_budget

        try:
            set_budget(self.device, self.budget, self._bare)
        except BudgetRefused as error:
            raise NotInOrder(str(error)) from error

    def _lift_budget(self) -> None:
        """On a CPU, so that what follows an error has room to run."""
        if self.budget is not None and self.device == "cpu":
            from tuner.worker.budget import lift_budget

            lift_budget()


def _can_be_reached(now: Settings, then: Settings) -> bool:
    """Whether the step can be made on a pipeline that is in use, without loading it again."""
    changed = then.differences(now)
    known = {knob.name: knob.in_place or knob.steps_down for knob in KNOBS}
    return all(known.get(name, False) for name in changed)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _packages() -> tuple[str, ...]:
    return tuple(name for name in ("accelerate", "xformers") if find_spec(name) is not None)


def _memory_of(device: str) -> int | None:
    if device == "cpu":
        return None
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)


def _bare(pipe: Any, device: str) -> int | None:
    """What this process uses on a CPU besides the weights: the zero that its budget counts from. None elsewhere."""
    if device != "cpu":
        return None
    from tuner.worker.budget import bare_data
    from tuner.worker.describe import describe

    data = bare_data()
    return None if data is None else max(0, data - describe(pipe).weights_bytes)
