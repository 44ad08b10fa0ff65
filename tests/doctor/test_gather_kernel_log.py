"""Xid lines: from the kernel's buffer, from the journal, or unread; and the check of them."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import HEALTHY, ask

from doctor.check import examine
from doctor.checks import CHECKS, xid
from doctor.checks.reported import faults
from doctor.facts import Facts, Xid
from doctor.finding import Severity
from doctor.gather.kernel_log import parse_xids, read_kernel_log
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor
from doctor.reports.messages import messages_in
from doctor.xids import XIDS, Fault, meaning_of

ADA = Redactor("/home/ada", "ada")

LOG = """\
6,1,2,-;NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05
4,2,3,-;NVRM: Xid (PCI:0000:01:00): 31, pid=4711, name=python3, Ch 00000008, MMU Fault by /home/ada/run
4,3,4,-;NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
4,4,5,-;NVRM: Xid (PCI:0000:01:00): 31, pid=4712, name=python3, Ch 00000009
4,5,6,-;NVRM: Xid (0000:41:00): 43, Ch 00000010, engmask 00000101
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this log")


def with_card(root: Path) -> Path:
    device = root / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030000\n")
    (root / "dev").mkdir()
    return root


def journal(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``journalctl`` that does as ``script`` says, and no other program."""
    program = folder / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def unread(reading: Reading) -> dict[str, str]:
    return {miss.what: miss.why for miss in reading.unread}


def test_lines_are_counted_by_card_and_code() -> None:
    found = parse_xids(LOG.splitlines(), ADA)
    assert [(one.device, one.code, one.count) for one in found] == [
        ("0000:01:00", 31, 2),
        ("0000:01:00", 79, 1),
        ("0000:41:00", 43, 1),
    ]
    assert found[0].text == "pid=4712, name=python3, Ch 00000009"
    assert (
        parse_xids(LOG.splitlines()[1:2], ADA)[0].text
        == "pid=4711, name=python3, Ch 00000008, MMU Fault by ~/run"
    )


@given(st.lists(st.text(max_size=80), max_size=6))
def test_any_log_is_read(lines: list[str]) -> None:
    assert parse_xids([*lines, "NVRM: Xid (PCI:0000:01:00): 79"], ADA)[-1].code == 79


@linux
def test_the_buffer_of_the_kernel(tmp_path: Path) -> None:
    (with_card(tmp_path) / "dev/kmsg").write_text(LOG)
    reading = read_kernel_log(ADA, tmp_path)
    assert reading.unread == []
    assert [one.code for one in reading.parts["xids"]] == [31, 79, 43]


@linux
def test_a_quiet_log_is_no_fault(tmp_path: Path) -> None:
    (with_card(tmp_path) / "dev/kmsg").write_text("6,1,2,-;Linux version 6.8\n")
    assert read_kernel_log(ADA, tmp_path).parts["xids"] == ()


@linux
def test_the_journal_where_the_buffer_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_text(LOG)
    journal(tmp_path, f"cat {tmp_path}/log", monkeypatch)
    assert [one.code for one in read_kernel_log(ADA, with_card(tmp_path)).parts["xids"]] == [31, 79, 43]


@linux
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "may be read by this user"),
        (
            "echo 'No journal files were opened due to insufficient permissions.'; exit 1",
            "may be read by this user",
        ),
        ("exec sleep 30", "did not answer within"),
    ],
)
def test_a_log_that_may_not_be_read_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    journal(tmp_path, script, monkeypatch)
    reading = read_kernel_log(ADA, with_card(tmp_path), deadline=0.5)
    assert reading.parts["xids"] is None
    assert why in unread(reading)["xids"]


@linux
def test_no_journal_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reading = read_kernel_log(ADA, with_card(tmp_path))
    assert reading.parts["xids"] is None
    assert "root only" in unread(reading)["xids"]


@linux
def test_without_a_card_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_text(LOG)
    reading = read_kernel_log(ADA, tmp_path)
    assert (reading.parts["xids"], reading.unread) == ((), [])


# the check


def logged(*codes: int) -> Facts:
    return replace(HEALTHY, xids=tuple(Xid(code=code, device="0000:01:00", count=2) for code in codes))


@pytest.mark.parametrize(
    ("codes", "severity"),
    [((), None), ((13,), Severity.NOTE), ((31, 43), Severity.NOTE), ((119,), Severity.WARNING), ((31, 79), Severity.WARNING),
     ((99999,), Severity.WARNING)],
)  # fmt: skip
def test_codes_weigh_as_much_as_the_worst(codes: tuple[int, ...], severity: Severity | None) -> None:
    found = ask(xid.CHECK, logged(*codes))
    assert [one.severity for one in found.values()] == ([severity] if severity else [])


def test_the_worst_comes_first() -> None:
    title = ask(xid.CHECK, logged(31, 79))["gpu-xid"].title
    assert title == "The driver logged Xid 79 (the card fell off the bus, 2 times); and 1 more."


def test_an_unread_log_is_no_finding() -> None:
    assert ask(xid.CHECK, replace(HEALTHY, xids=None)) == {}


def test_facts_and_a_pasted_line_are_one_finding() -> None:
    both = replace(logged(79), messages=messages_in(("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off",)))
    assert [one.id for one in examine(both, CHECKS).findings].count("gpu-xid") == 1


@pytest.mark.parametrize("code", [13, 61, 79, 4711])
def test_a_pasted_code_means_what_a_read_one_means(code: int) -> None:
    line = f"NVRM: Xid (PCI:0000:01:00): {code}, pid=1"
    pasted = ask(faults.CHECK, replace(HEALTHY, messages=messages_in((line,))))["gpu-xid"]
    assert pasted.title == f"The driver logged Xid {code}: {meaning_of(code).words}."


def test_the_table() -> None:
    assert len({one.code for one in XIDS}) == len(XIDS)
    assert {one.fault for one in XIDS} == set(Fault)
    assert meaning_of(79).words == "the card fell off the bus"
