"""Runs that are really held up, with the real worker. The table of all of them: tests/benchmarks/verdicts.py."""

import os

import induced
import pytest

from doctor.verdicts import judge
from tuner.settings import Settings

pytestmark = pytest.mark.slow
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def ids(seen):
    if (seen.strangers or 0) > 20:
        pytest.skip("other programs use the processor, so it is not known what is true")
    return [verdict.id for verdict in judge(seen.samples)]


def test_a_healthy_run_is_no_alarm():
    assert ids(induced.generate()) == ["processor-bound"]


def test_busy_neighbours():
    assert ids(induced.generate(at_denoise=lambda: induced.busy_neighbours(CORES)))[0] == "starved-by-others"


def test_low_priority():
    seen = induced.generate(
        on_ready=lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        at_denoise=lambda: induced.busy_neighbours(CORES),
    )
    assert ids(seen)[0] == "starved-by-priority"


def test_too_many_threads():
    seen = induced.generate(settings=Settings(precision="bf16", threads=4 * CORES))
    assert ids(seen)[0] == "too-many-threads"


@pytest.mark.skipif(
    not induced.can_group(induced.CPU_GROUPS, "cpu.cfs_quota_us"), reason="cannot make control groups"
)
def test_a_quota():
    with induced.cpu_quota(0.6) as move:
        seen = induced.generate(on_ready=move)
    # Strangers change nothing here: the quota is counted by the kernel.
    assert judge(seen.samples)[0].id == "starved-by-quota"


@pytest.mark.skipif(
    not induced.can_group(induced.BLOCK_GROUPS, "blkio.throttle.read_bps_device"),
    reason="cannot make control groups",
)
def test_a_slow_disk():
    assert judge(induced.read_slowly().samples)[0].id == "disk-bound"


def test_a_worker_at_rest():
    assert judge(induced.rest().samples)[0].id == "idle"
