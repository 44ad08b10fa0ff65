"""Where a worker's memory comes from: huge pages asked for, and blocks that go back when they are freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tuner.runner import _with_huge_pages

MIB = 2**20


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.arena_max=1", "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
    ],
)
def test_what_the_user_has_set_stays(given, then):
    assert _with_huge_pages(given) == then


GLIBC = sys.platform == "linux"
PROGRAM = """
import ctypes, sys
from tuner.worker.allocator import give_back_holes, map_blocks_for, weights_in_their_own_mappings

def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def filled(size):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(ctypes.c_void_p(block), 1, size)
    return block

with weights_in_their_own_mappings():
    pass
map_blocks_for(int(sys.argv[1]))
size, count = 4 * 2**20, 30
before = resident()
blocks = [filled(size) for _ in range(count)]
# One small block above each large one keeps the heap from shrinking from its end.
for block in blocks[:-1]:
    libc.free(block)
held = resident() - before
give_back_holes()
print(held // 2**20, (resident() - before) // 2**20)
"""


def held_after_free(weights: int, **environment: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(weights)],
        capture_output=True,
        text=True,
        env=environment or None,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    return int(first), int(second)


@pytest.mark.skipif(not GLIBC, reason="glibc's settings")
def test_a_small_model_leaves_no_holes_and_a_large_one_until_the_phase_ends():
    small, small_after = held_after_free(20 * MIB)
    large, large_after = held_after_free(2000 * MIB)
    assert small <= 10
    assert large >= 100
    assert max(small_after, large_after) <= 10


@pytest.mark.skipif(not GLIBC, reason="glibc's settings")
def test_the_users_own_bound_holds():
    held, _ = held_after_free(2000 * MIB, MALLOC_MMAP_THRESHOLD_=str(MIB), PATH="/usr/bin")
    assert held <= 10


WITHIN = PROGRAM.replace(
    "before = resident()\n", "within = every_block_mapped()\nwithin.__enter__()\nbefore = resident()\n", 1
).replace("import give_back_holes", "import every_block_mapped, give_back_holes")


@pytest.mark.skipif(not GLIBC, reason="glibc's heap")
def test_within_a_trace_tensors_leave_no_holes_and_then_the_bound_is_as_before():
    after = WITHIN + (
        "within.__exit__(None, None, None)\n"
        "before = resident()\n"
        "more = [filled(size) for _ in range(count)]\n"
        "for block in more[:-1]:\n"
        "    libc.free(block)\n"
        "print((resident() - before) // 2**20)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", after, str(1 << 30)], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert int(first.split()[0]) <= 8
    assert int(second) >= 60
