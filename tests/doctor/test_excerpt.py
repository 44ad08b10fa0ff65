"""Long files: what is kept of them, and how fast they are read."""

from __future__ import annotations

import io
import os
import random
import time

import pytest

from doctor.gather.report import read_report
from doctor.reports import excerpt
from doctor.reports.excerpt import read_excerpt
from doctor.reports.messages import messages_in
from doctor.reports.repeats import MOST, few_of_a_kind

ERROR = "RuntimeError: No CUDA GPUs are available"


class Pieces(io.RawIOBase):
    """A pipe that gives few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def read(self, size: int = -1) -> bytes:
        piece, self._left = self._left[: min(size, 1000)], self._left[min(size, 1000) :]
        return piece


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpt, "HEAD", 100)
    monkeypatch.setattr(excerpt, "TAIL", 200)


@pytest.mark.parametrize("stream", [io.BytesIO, Pieces])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 300])
def test_a_short_file_is_kept_whole(stream: type, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    content = bytes(97 + at % 26 for at in range(size))
    kept = read_excerpt(stream(content))
    assert (kept.content, kept.skipped) == (content, 0)


@pytest.mark.parametrize("stream", [io.BytesIO, Pieces])
def test_of_a_long_file_whole_lines_of_both_ends_are_kept(
    stream: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    lines = [f"line {at}" for at in range(1000)]
    content = "\n".join(lines).encode()
    kept = read_excerpt(stream(content))
    found = kept.content.decode().split("\n")
    assert found[0] == "line 0"
    assert found[-1] == "line 999"
    assert set(found) - {""} <= set(lines)
    assert kept.skipped == len(content) - len(kept.content) + 1


def test_a_long_file_in_utf_16_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    text = "torch 2.9.1\n" + "x" * 501 + "\n" + ERROR
    for extra in (b"", b"\0"):
        kept = read_excerpt(io.BytesIO(text.encode("utf-16") + extra))
        assert ERROR in kept.content.decode("utf-16", errors="replace").replace("\ufffd", "") or extra


def test_a_terminal_is_asked_no_more_after_its_end() -> None:
    leader, follower = os.openpty()
    os.write(leader, ERROR.encode() + b"\n\x04")
    with os.fdopen(follower, "rb") as terminal:
        assert read_excerpt(terminal).content.strip() == ERROR.encode()
    os.close(leader)


def test_a_stream_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    monkeypatch.setattr(excerpt, "MOST", 10_000)
    with pytest.raises(ValueError, match="larger than"):
        read_excerpt(io.BytesIO(b"a\n" * 6000))


def test_repetitions_that_differ_in_numbers_are_few() -> None:
    lines = ("start", *(f"step {at}/1000 took {at * 0.1:.1f} s" for at in range(1000)), "start", ERROR)
    kept = few_of_a_kind(lines)
    assert kept == ("start", *lines[1 : 1 + MOST], ERROR)


def test_a_code_that_comes_after_many_others_is_seen() -> None:
    lines = tuple(f"[{at}.5] NVRM: Xid (PCI:0000:01:00): 31, pid={at}" for at in range(50))
    kinds = {one.kind for one in messages_in((*lines, "[99.5] NVRM: Xid (PCI:0000:01:00): 79, pid=4"))}
    assert kinds == {"xid", "gpu-lost"}


def test_an_error_among_thousands_of_steps_is_found() -> None:
    steps = tuple(f"{at / 10:.0f}% {at}/1000 [00:{at % 60:02d}<00:10, 3.2it/s]" for at in range(1000))
    assert [one.kind for one in messages_in((*steps, ERROR, *steps))] == ["no-cuda-gpus"]


def test_ten_thousand_lines_are_read_in_a_moment() -> None:
    chance = random.Random(1)
    lines = [
        f"2026-01-02 12:00:{at % 60:02d},123 - INFO - step {at}/10000, {chance.random():.2f} it/s, cuda memory, torch"
        for at in range(10_000)
    ]
    content = "\n".join((*lines, ERROR)).encode()
    started = time.process_time()
    facts = read_report(content)
    # Measured: 0.8 s of processor time on a slow core. Without the two shortcuts it is more than 5 s.
    assert time.process_time() - started < 3
    assert facts.message("no-cuda-gpus")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b" \r\n\t", "it is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20, "it is not text"),
        (b"\0" * 5000, "it is not text"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_report(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x1b[31m" + ERROR.encode() + b"\x1b[0m\r\n",
        b"step 1\b\b\b\b\b\bstep 2\r" + ERROR.encode(),
        ERROR.encode() + b"\n" + b"\0" * 4096,
        "\u041e\u0448\u0438\u0431\u043a\u0430: ".encode("cp1251") + ERROR.encode(),
        ERROR.encode("utf-16"),
    ],
    ids=["colours", "backspaces", "zeros of a crash", "cp1251", "utf-16"],
)
def test_odd_texts_are_texts(content: bytes) -> None:
    assert read_report(content).message("no-cuda-gpus")
