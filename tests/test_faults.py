"""A few faults in real studies: nothing is lost and nothing is left behind. `python -m benchmarks.faults` does them all."""

from __future__ import annotations

import sys

import pytest
from benchmarks.faults import rows


@pytest.mark.timeout(900)  # 50 s of CPU time; many times that on a machine that is busy otherwise
@pytest.mark.skipif(sys.platform != "linux", reason="the faults need Linux")
def test_faults_lose_nothing_and_leave_no_orphan(tmp_path):
    found = list(rows(tmp_path, fast=True))
    assert len(found) == 4
    assert all(row.good for row in found), "\n".join(row.text() for row in found)
