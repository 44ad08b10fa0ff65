"""What holes in glibc's heap cost in memory, and what it costs in time to have none: ways of allocating, compared.

    python -P tests/benchmarks/heap_holes.py builtin:tiny 512 [--steps 2] [--runs 5] [--rounds 3] [--only "NAME;NAME"]

Each way gets processes of its own, in turns with the others, set up as a worker is. Prints a Markdown table: most
resident memory and most mapped memory beyond the loaded pipeline (the second is what a budget limits, RLIMIT_DATA),
least to most over the rounds; and of warm runs the wall time and the CPU time (both also against the first way's in the
same round) and the page faults.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

_TRIM_THRESHOLD, _TOP_PAD = "-1", "-2"
_MIB = 1024 * 1024


def _mapped_from(mib: int) -> dict[str, str]:
    return {"MALLOC_MMAP_THRESHOLD_": str(mib * _MIB)}


# Environment; HEAP_MALLOPT and HEAP_TRIM are read by the program below, everything else by glibc and torch.
WAYS: dict[str, dict[str, str]] = {
    "as workers do": _mapped_from(16) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "left alone": _mapped_from(32),
    "trim threshold 1 MiB": {"HEAP_MALLOPT": f"{_TRIM_THRESHOLD}={_MIB}"},
    "top pad 64 MiB": {"HEAP_MALLOPT": f"{_TOP_PAD}={64 * _MIB}"},
    "one arena": {"MALLOC_ARENA_MAX": "1"},
    "malloc_trim before the decoder": {"HEAP_TRIM": "vae"},
    "malloc_trim before each block": {"HEAP_TRIM": "blocks"},
    "mapped from 1 MiB on": _mapped_from(1),
    "mapped from 4 MiB on": _mapped_from(4),
    "mapped from 16 MiB on": _mapped_from(16),
    "1 MiB, both kinds of huge pages": _mapped_from(1)
    | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"},
    "2 MiB, both kinds of huge pages": _mapped_from(2)
    | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"},
    "1 MiB, glibc.malloc.hugetlb=1": _mapped_from(1) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "4 MiB, glibc.malloc.hugetlb=1": _mapped_from(4) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "2 MiB, glibc.malloc.hugetlb=1": _mapped_from(2) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "8 MiB, glibc.malloc.hugetlb=1": _mapped_from(8) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "16 MiB, glibc.malloc.hugetlb=1": _mapped_from(16) | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "16 MiB, huge pages, trimmed before the decoder": _mapped_from(16)
    | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "HEAP_TRIM": "vae"},
    "16 MiB, huge pages, trimmed before each run": _mapped_from(16)
    | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "HEAP_TRIM": "run"},
    "heap, glibc.malloc.hugetlb=1": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "1 MiB, THP_MEM_ALLOC_ENABLE=1": _mapped_from(1) | {"THP_MEM_ALLOC_ENABLE": "1"},
    "4 MiB, THP_MEM_ALLOC_ENABLE=1": _mapped_from(4) | {"THP_MEM_ALLOC_ENABLE": "1"},
    "heap, THP_MEM_ALLOC_ENABLE=1": {"THP_MEM_ALLOC_ENABLE": "1"},
}

_PROGRAM = """
import ctypes, json, os, resource, statistics, sys, time
import torch
from tuner.models import resolve
from tuner.worker.allocator import weights_in_their_own_mappings
from tuner.worker.build import load_pipeline, torch_dtype
from tuner.worker.meter import ProcessMeter, process_memory

model, size, steps, runs, precision = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
with weights_in_their_own_mappings():
    pipe = load_pipeline(resolve(model), torch_dtype(precision))
libc = ctypes.CDLL(None)
for pair in filter(None, os.environ.get("HEAP_MALLOPT", "").split(",")):
    assert libc.mallopt(*map(int, pair.split("="))) == 1
trimmed = os.environ.get("HEAP_TRIM")
if trimmed and trimmed != "run":
    give_back = lambda *_: libc.malloc_trim(0) and None
    where = [pipe.vae.decoder]
    if trimmed == "blocks":
        where += [*pipe.vae.decoder.up_blocks, *pipe.unet.down_blocks, *pipe.unet.up_blocks]
    for module in where:
        module.register_forward_pre_hook(give_back)
pipe.set_progress_bar_config(disable=True)

def run():
    if trimmed:
        libc.malloc_trim(0)
    with torch.inference_mode():
        pipe("a red circle", width=size, height=size, num_inference_steps=steps,
             generator=torch.Generator().manual_seed(0))

meter = ProcessMeter()
before = process_memory()
meter.reset_peak()
run()
after = process_memory()
first = {"resident": meter.peak()[0], "mapped": after["VmPeak"] - max(before["VmSize"], 0)}
meter.reset_peak()
walls, used, faults = [], [], []
for _ in range(runs):
    start, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    walls.append(time.perf_counter() - begin)
    end = resource.getrusage(resource.RUSAGE_SELF)
    used.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    faults.append(end.ru_minflt - start.ru_minflt)
print(json.dumps({**first, "later": meter.peak()[0], "wall": min(walls), "cpu": min(used),
                  "faults": statistics.median(faults)}))
"""


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("size", type=int)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--only", type=lambda text: text.split(";"), default=list(WAYS))
    parser.add_argument("--preload", help="another allocator, a shared library, as one more way")
    options = parser.parse_args()
    if options.preload:
        WAYS["preloaded"] = {"LD_PRELOAD": options.preload}
        options.only = [*options.only, "preloaded"]
    arguments = [options.model, options.size, options.steps, options.runs, options.precision]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
    for _ in range(options.rounds):
        for name in options.only:
            found[name].append(_measure(WAYS[name], [str(item) for item in arguments]))
    print(
        "| way | resident MiB, first run | later runs | mapped MiB | wall s | wall | CPU s | CPU | page faults |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    base = found[options.only[0]]
    for name, rounds in found.items():
        wall, cpu = _against(rounds, base, "wall"), _against(rounds, base, "cpu")
        cells = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        print(
            f"| {name} | {_span(rounds, 'resident')} | {_span(rounds, 'later')} | {_span(rounds, 'mapped')} | "
            f"{cells['wall']:.2f} | {wall:+.0%} | {cells['cpu']:.2f} | {cpu:+.0%} | {cells['faults']:.0f} |"
        )


def _span(rounds: list[dict[str, float]], key: str) -> str:
    """Least to most over the rounds, in MiB: what differs from process to process cannot be predicted."""
    sizes = sorted(one[key] / _MIB for one in rounds)
    return f"{sizes[0]:.0f} to {sizes[-1]:.0f}"


def _against(rounds: list[dict[str, float]], base: list[dict[str, float]], key: str) -> float:
    """By which share it took more than the first way in the same round, so that a busy moment hits both."""
    return statistics.median(one[key] / other[key] for one, other in zip(rounds, base, strict=True)) - 1


def _measure(extra: dict[str, str], arguments: list[str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-P", "-c", _PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env={"GOMP_SPINCOUNT": "1000", **os.environ, **extra},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
