"""Generation on a CPU: sdoctor's settings against diffusers' default, against peers, and against the bound.

    cd tests && python -m benchmarks.generation_speed builtin:sd15 --size 256 --steps 3 [--settings a=b,c=d]

Contenders, each in a process of its own, by turns, after a run that is thrown away:

- default: a diffusers pipeline as it comes (fp32);
- tuned: sdoctor's worker with ``--settings`` (else those of the saved profile, else what compile=openvino needs);
- direct: OpenVINO by hand, static shapes, bf16 (``speed_direct.py``);
- cpp: stable-diffusion.cpp, with ``--cpp FOLDER`` that holds ``stable_diffusion_cpp`` (``speed_cpp.py``);
- bound: the operations of a stage, counted by the dry run, over the rate of a matrix product that the fastest library
  reached in the same round, since a machine's speed varies.

All make the same number of evaluations of the denoiser, with guidance. ``--one-at-a-time`` ends each process before
the next begins, for models of which two do not fit. Prints Markdown; ``--json FILE`` keeps every run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.speed_runs import GUIDANCE, PROMPT, Contender, Run

from doctor.gather import gather
from doctor.trace import Phase
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.events import Event, Finished, Generate, Load, PhaseEnded, Stepped
from tuner.knobs import default_settings
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings, parse_settings
from tuner.store import newest_of
from tuner.target import choose_target

_PATIENT = Limits(stall=600.0)
_OPERATIONS = {"step": "denoise", "VAE decode": "decode", "text": "encode"}
"""Whose operations the dry run counts under which name."""
_STAGES: dict[str, Callable[[Run], float | None]] = {
    "picture": lambda run: run.total,
    "step": lambda run: run.step,
    "VAE decode": lambda run: run.decode,
    "text": lambda run: run.text,
}


class Tuned:
    """sdoctor's own worker, as ``sdoctor generate`` uses it."""

    def __init__(self, model: str, settings: Settings, size: int, steps: int) -> None:
        self._load = Load(model=model, settings=settings, device="cpu")
        self._request = Request(prompt=PROMPT, width=size, height=size, steps=steps, guidance=GUIDANCE)
        self._worker: Worker | None = None

    def run(self) -> Run:
        """One picture; the first of a worker is thrown away. Raises SystemExit if it fails."""
        if self._worker is None:
            self._worker = Worker()
            list(self._worker.run(self._load, _PATIENT))
            self._once()
        return self._once()

    def _once(self) -> Run:
        assert self._worker is not None
        events: list[Event] = list(self._worker.run(Generate(request=self._request), _PATIENT))
        last = events[-1]
        if not isinstance(last, Finished):
            raise SystemExit(f"tuned failed: {last}")
        if last.remarks:
            print("\n".join(last.remarks))
        phases = {event.phase: event.seconds for event in events if isinstance(event, PhaseEnded)}
        return Run(
            total=last.seconds,
            text=phases.get(Phase.ENCODE),
            steps=tuple(event.seconds for event in events if isinstance(event, Stepped)),
            decode=phases.get(Phase.DECODE),
        )

    @property
    def cpu_wait(self) -> float | None:
        """See ``Trial.cpu_wait``; of the newest picture."""
        return None if self._worker is None else self._worker.cpu_wait

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def settings_of(model: str, text: str | None) -> Settings:
    """Those that were asked for, those of the saved profile, or the first guess with compile=openvino."""
    if text is not None:
        return Settings().but(**parse_settings(text))
    kept = newest_of(model)
    if kept is not None and kept.profile is not None:
        return kept.profile.best
    return default_settings(choose_target(gather(), "cpu")).but(compile="openvino")


def flops_of(model: str, size: int) -> dict[str, int]:
    """Operations of one call of each stage, counted by the dry run: the step with its two evaluations."""
    with Oracle() as oracle:
        answer = oracle.ask(Ask(model=model, settings=Settings(), width=size, height=size))
    found: dict[str, int] = {}
    for place in answer.order:
        call = answer.calls[place]
        found[call.stage] = found.get(call.stage, 0) + call.flops
    return found


def described(run: Run) -> str:
    """One run in a line."""
    found = {name: stage(run) for name, stage in _STAGES.items()}
    return ", ".join(f"{name} {value:.3f} s" for name, value in found.items() if value is not None)


def ratio(over: list[Run], under: list[Run], stage: Callable[[Run], float | None]) -> str:
    """Median of the ratios of runs of the same turn, with the smallest and the largest."""
    pairs = [(stage(one), stage(other)) for one, other in zip(over, under, strict=False)]
    return spread([first / second for first, second in pairs if first is not None and second is not None])


def spread(found: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})" if found else "-"


def report(
    taken: dict[str, list[Run]], rates: list[dict[str, float]], flops: dict[str, int], *, all_whole: bool
) -> None:
    """Print the table of seconds and the tables of ratios. Steps that leave layers out (not ``all_whole``) have no bound."""
    print("\n| seconds, median | " + " | ".join(_STAGES) + " |\n|---|" + "---|" * len(_STAGES))
    for name, runs in taken.items():
        cells = []
        for stage in _STAGES.values():
            known = [value for run in runs if (value := stage(run)) is not None]
            cells.append(f"{statistics.median(known):.3f}" if known else "not reported")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| ratio (smallest to largest) | " + " | ".join(_STAGES) + " |\n|---|" + "---|" * len(_STAGES))
    for over, under in (("default", "tuned"), ("tuned", "direct"), ("tuned", "cpp")):
        if over in taken and under in taken:
            cells = [ratio(taken[over], taken[under], stage) for stage in _STAGES.values()]
            print(f"| {over} / {under} | " + " | ".join(cells) + " |")
    if "tuned" in taken and rates and all_whole:
        print(
            "\n| bound / tuned, of the same round (smallest to largest) | " + " | ".join(_OPERATIONS) + " |"
        )
        print("|---|" + "---|" * len(_OPERATIONS))
        cells = [
            of_the_bound(taken["tuned"], rates, flops[stage], _STAGES[name])
            for name, stage in _OPERATIONS.items()
        ]
        print("| the fastest product | " + " | ".join(cells) + " |")


def of_the_bound(
    runs: list[Run], rates: list[dict[str, float]], flops: int, stage: Callable[[Run], float | None]
) -> str:
    """Which share of the rate of a matrix product a stage reaches: median, smallest and largest."""
    return spread(
        [
            flops / (max(rate.values()) * 1e9) / seconds
            for run, rate in zip(runs, rates, strict=False)
            if (seconds := stage(run)) is not None
        ]
    )


def machine() -> str:
    """This machine and the versions that were compared."""
    facts = gather()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "openvino"))
    cpu = f"{facts.cpu.model}, {facts.cpu.usable_cores} cores"
    return f"{cpu}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}"


def main() -> None:
    """Measure by turns, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, default=3, help="evaluations of the denoiser for one picture")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no round that may end after these")
    parser.add_argument("--settings", help="of the contender 'tuned'")
    parser.add_argument("--cpp", help="folder that holds the package stable_diffusion_cpp")
    parser.add_argument("--direct-weights", default="fp32", help="format in which 'direct' reads the weights")
    parser.add_argument("--without", default="", help="contenders to leave out, with commas")
    parser.add_argument("--one-at-a-time", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = settings_of(options.model, options.settings)
    with tempfile.TemporaryDirectory() as folder:
        contenders = make_contenders(options, settings, Path(folder))
        taken, rates = by_turns(contenders, options)
    flops = flops_of(options.model, options.size)
    rounds = max(len(runs) for runs in taken.values())
    size = f"{options.size}x{options.size}"
    print(f"\n{options.model}, {size}, {options.steps} steps, {rounds} rounds; {machine()}")
    print(f"tuned: {settings.text()}")
    print("Operations: " + ", ".join(f"{stage} {count / 1e9:.1f} GFLOP" for stage, count in flops.items()))
    medians = {name: statistics.median(rate[name] for rate in rates) for name in rates[0]}
    print("Matrix product: " + ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in medians.items()))
    report(taken, rates, flops, all_whole=settings.step_cache == "none")
    if options.json:
        runs = {name: [asdict(run) for run in found] for name, found in taken.items()}
        told = {"model": options.model, "size": options.size, "runs": runs, "rates": rates, "flops": flops}
        options.json.write_text(json.dumps(told, indent=1))


def make_contenders(
    options: argparse.Namespace, settings: Settings, folder: Path
) -> dict[str, Contender | Tuned]:
    """Those that were not left out, by name."""
    # PNDM, the scheduler of Stable Diffusion 1.x, takes one evaluation more than it is asked for, unless that is one.
    extra = 1 if "sd15" in options.model and options.steps > 1 else 0
    if extra and options.steps < 3:
        raise SystemExit(
            "PNDM takes at least three evaluations as soon as it takes more than one: --steps 3."
        )
    shared = [options.model, "--size", str(options.size)]
    asked = [*shared, "--steps", str(options.steps - extra)]
    direct = [*asked, "--weights", options.direct_weights]
    found: dict[str, Contender | Tuned] = {
        "default": Contender("speed_plain", asked, folder / "default.log"),
        "tuned": Tuned(options.model, settings, options.size, options.steps - extra),
        "direct": Contender("speed_direct", direct, folder / "direct.log"),
    }
    if options.cpp:
        told = [*shared, "--steps", str(options.steps), "--library", options.cpp]
        found["cpp"] = Contender("speed_cpp", told, folder / "cpp.log")
    return {name: one for name, one in found.items() if name not in options.without.split(",")}


def by_turns(
    contenders: dict[str, Contender | Tuned], options: argparse.Namespace
) -> tuple[dict[str, list[Run]], list[dict[str, float]]]:
    """The runs of every contender, and the rates of a matrix product that each round ended with, GFLOP/s."""
    from benchmarks.speed_rate import rates

    taken: dict[str, list[Run]] = {name: [] for name in contenders}
    reached: list[dict[str, float]] = []
    began = time.monotonic()
    try:
        for number in range(options.rounds):
            round_began = time.monotonic()
            for name, contender in contenders.items():
                taken[name].append(contender.run())
                print(f"round {number + 1}: {name} {described(taken[name][-1])}", flush=True)
                if options.one_at_a_time:
                    contender.close()
            reached.append(rates())
            now = time.monotonic()
            # The first round also starts the processes and warms them: that is half of it or more.
            if now - began + (now - round_began) * (0.5 if number == 0 else 1.0) > options.minutes * 60:
                break
    finally:
        for contender in contenders.values():
            contender.close()
    return taken, reached


if __name__ == "__main__":
    main()
