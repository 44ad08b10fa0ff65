"""Does what advice promises really fit, with two programs that ask at the same moment?

    python tests/benchmarks/advice_fits.py

Root and Linux only: daemon and programs run in a control group of their own, whose limit makes memory scarce. First
builtin:tiny is measured with two settings at two sizes, as a study does it, and a profile is made of that. Then two
programs ask, load and draw at the same time, at a size that was measured and at one between, with room for both at full
speed, for one and a frugal one, and for one only. Prints a Markdown table of what was promised and what was used; exit
code 1 if a program used more than it was promised, both more than was free, or one that was promised memory did not draw.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from daemon_client import LiveDaemon, live_daemon
from made_profiles import profile

from doctor.gather import gather
from doctor.sizes import MIB, gib
from tuner.advice import needs
from tuner.fingerprint import fingerprint_of
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose
from tuner.profile import Profile, ProfileRung
from tuner.settings import Settings
from tuner.store import save
from tuner.target import choose_target, floor_of_free_memory

FAST = Settings()
TILED = FAST.but(vae_tiling="on")
SIDES, BETWEEN = (256, 1024), 768
UNLIMITED = 2**40
SPARE = 48 * MIB
"""The daemon grows a little, and a program takes some before it asks."""

PROGRAM = """
import json, pathlib, resource, sys, time
from tuner import advise
from doctor.errors import NotInOrder
width, height, gate = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
print("here", flush=True)
while not gate.exists():
    time.sleep(0.002)
try:
    advice = advise("builtin:tiny", width, height)
except NotInOrder as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
with advice:
    import torch
    from tuner.models import resolve
    from tuner.worker.build import load_pipeline
    pipe = advice.apply(load_pipeline(resolve("builtin:tiny"), torch.float32))
    picture = pipe("a red circle", width=width, height=height, num_inference_steps=2).images[0]
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {name: advice.answer[name] for name in ("rung", "bytes", "basis", "free_bytes")}
    print(json.dumps(told | {"used": kilobytes * 1024, "drew": picture.size, "settings": pipe.settings.text()}))
"""


class Group:
    """A control group with a limit of memory, of version 1 or 2."""

    def __init__(self) -> None:
        """Groups that a run left behind which was killed are removed."""
        for left in Path("/sys/fs/cgroup").glob("**/sdoctor-fits-*"):
            with suppress(OSError):
                left.rmdir()
        first = Path("/sys/fs/cgroup/memory")
        self._one = first.exists()
        self.path = (first if self._one else Path("/sys/fs/cgroup")) / f"sdoctor-fits-{os.getpid()}"
        self.path.mkdir()

    def limit(self, count: int) -> None:
        (self.path / ("memory.limit_in_bytes" if self._one else "memory.max")).write_text(str(count))

    @property
    def used(self) -> int:
        name = "memory.usage_in_bytes" if self._one else "memory.current"
        return int((self.path / name).read_text())

    @property
    def before(self) -> list[str]:
        """What stands before a command that shall run in it."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs; exec "$@"', "sh"]

    def remove(self) -> None:
        for _ in range(50):
            with suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.1)


def measured() -> Profile:
    """Of two rungs, each run at the smallest and the largest size; saved where daemon and programs look for it."""
    facts = gather()
    trials = []
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=None)) as lab:
        for settings in (FAST, TILED):
            for side in SIDES:
                probe = Probe(purpose=Purpose.LARGEST, settings=settings, width=side, height=side, steps=1)
                trial = lab.run(probe)
                assert trial.finished, trial
                trials.append(trial)
    rungs = tuple(
        ProfileRung(name=name, settings=settings, largest=max(SIDES), limit="memory")
        for name, settings in (("fastest", FAST), ("tiled decode", TILED))
    )
    here = fingerprint_of(facts, choose_target(facts, "cpu"))
    found = profile(fingerprint=here, best=FAST, ladder=rungs, trials=tuple(trials), pipeline=None)
    save(found)
    return found


def two_programs(group: Group, home: Path, size: tuple[int, int]) -> list[dict]:
    gate = home / "gate"
    gate.unlink(missing_ok=True)
    words = [*group.before, sys.executable, "-P", "-c", PROGRAM, str(size[0]), str(size[1]), str(gate)]
    running = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for each in running:
        assert each.stdout is not None
        assert each.stdout.readline().strip() == "here"
    gate.touch()
    found = []
    for each in running:
        out, error = each.communicate(timeout=300)
        found.append(
            json.loads(out) if out.strip() else {"died": f"{each.returncode}: {error.strip()[-200:]}"}
        )
    return sorted(found, key=lambda one: -one.get("bytes", 0))


def row(number: int, program: dict) -> tuple[str, bool]:
    if "refused" in program:
        return f"| {number} | refused: {program['refused']} | | | |", True
    if "died" in program:
        return f"| {number} | **died**: {program['died']} | | | |", False
    fits = program["used"] <= program["bytes"]
    share = 100 * program["used"] / program["bytes"]
    mark = "" if fits else " **more than promised**"
    return (
        f"| {number} | {program['rung']} ({program['settings']}) | {gib(program['bytes'])}, {program['basis']} | "
        f"{gib(program['used'])} | {share:.0f} %{mark} |"
    ), fits


def at_size(side: int, found: Profile, group: Group, daemon: LiveDaemon) -> int:
    """All cases of one size; how many are not as they have to be."""
    fitting, _ = needs(found, side, side, 1)
    fast, frugal = fitting[0], min(fitting, key=lambda need: need.bytes)
    cases = {
        "both at full speed": (2 * fast.bytes + 4 * SPARE, [fast.rung, fast.rung]),
        "one at full speed, one frugal": (fast.bytes + frugal.bytes + SPARE, [fast.rung, frugal.rung]),
        "one": (fast.bytes + SPARE, [fast.rung, None]),
    }
    wrong = 0
    for what, (free, rungs) in cases.items():
        # The limit is a part of what the machine is; here it stands for other programs, and facts are five minutes old.
        daemon.ask("GET", "/v1/host?fresh=true")
        group.limit(group.used + free + floor_of_free_memory(psutil.virtual_memory().total))
        programs = two_programs(group, daemon.home, (side, side))
        for number, program in enumerate(programs, 1):
            line, well = row(number, program)
            wrong += not well
            print(f"| {side}x{side}, {what}: {gib(free)} {line}", flush=True)
        if [program.get("rung") for program in programs] != rungs:
            wrong += 1
            print(f"| {what} | **not the rungs that fit: {rungs}** | | | | |")
        if sum(program.get("used", 0) for program in programs) > free:
            wrong += 1
            print(f"| {what} | **together they used more than was free** | | | | |")
        group.limit(UNLIMITED)
    return wrong


def main() -> int:
    if sys.platform != "linux" or os.getuid() != 0:
        print("Only root can make a control group.", file=sys.stderr)
        return 2
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="sd") as name:
        home = Path(name) / "h"
        os.environ["SDOCTOR_HOME"] = str(home)
        found = measured()
        group = Group()
        try:
            with live_daemon(home, before=group.before) as daemon:
                print("| size, free for | | rung | promised | used at most | |\n|---|---|---|---|---|---|")
                for side in (max(SIDES), BETWEEN):
                    wrong += at_size(side, found, group, daemon)
        finally:
            group.remove()
    print(f"\n{wrong} not as it has to be.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
