"""Does what advice promises really fit, with two programs that ask at the same moment?

    python tests/benchmarks/advice_fits.py [--size 768x768] [--minutes 3]

Root and Linux only: daemon and programs run in a control group of their own, whose limit makes memory scarce. Tunes
builtin:tiny first, then lets two programs ask, load and draw at the same time, with room for both at full speed, for one
and a frugal one, and for one only. Prints a Markdown table of what was promised and what was used; exit code 1 if a
program used more than it was promised, both more than was free, or one that was promised memory did not draw.
"""

from __future__ import annotations

import argparse
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

from daemon_client import live_daemon

from doctor.sizes import MIB, gib, parse_size
from tuner.advice import needs
from tuner.profile import Profile
from tuner.store import stored
from tuner.target import floor_of_free_memory

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


def tuned(minutes: float) -> Profile:
    words = [
        sys.executable,
        "-P",
        "-m",
        "tui",
        "tune",
        "builtin:tiny",
        "--time-limit",
        f"{minutes:g}",
        "--json",
    ]
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    (one,) = stored()
    assert one.profile is not None
    return one.profile


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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="768x768")
    parser.add_argument("--minutes", type=float, default=3.0, help="for tuning")
    asked = parser.parse_args()
    if sys.platform != "linux" or os.getuid() != 0:
        print("Only root can make a control group.", file=sys.stderr)
        return 2
    width, height = parse_size(asked.size)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="sd") as name:
        home = Path(os.environ.setdefault("SDOCTOR_HOME", f"{name}/h"))
        profile = stored()[0].profile if stored() else tuned(asked.minutes)
        assert profile is not None
        fitting, _ = needs(profile, width, height, 1)
        fast, frugal = fitting[0], min(fitting, key=lambda need: need.bytes)
        print(f"{asked.size}: '{fast.rung}' needs {gib(fast.bytes)}, '{frugal.rung}' {gib(frugal.bytes)}.\n")
        spare = 48 * MIB  # the daemon grows a little, programs that only ask take some
        cases = {
            "both at full speed": 2 * fast.bytes + 4 * spare,
            "one at full speed, one frugal": fast.bytes + frugal.bytes + spare,
            "one": fast.bytes + spare,
        }
        print("| free for | program | rung | promised | used at most | |\n|---|---|---|---|---|---|")
        group = Group()
        try:
            group.limit(8 * 2**30)
            with live_daemon(home, before=group.before) as daemon:
                daemon.ask("GET", "/v1/host")
                for what, free in cases.items():
                    group.limit(group.used + free + floor_of_free_memory(psutil.virtual_memory().total))
                    found = two_programs(group, home, (width, height))
                    for number, program in enumerate(found, 1):
                        line, well = row(number, program)
                        wrong += not well
                        print(f"| {what}: {gib(free)} {line}", flush=True)
                    if sum(program.get("used", 0) for program in found) > free:
                        wrong += 1
                        print(f"| {what} | **together they used more than was free** | | | | |")
                    group.limit(2**40)
        finally:
            group.remove()
    print(f"\n{wrong} not as it has to be.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
