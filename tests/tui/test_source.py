"""``sdoctor check --from``: files that can be read and files that cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import sdoctor, sentence_of

from doctor.errors import UsageError
from tui import source
from tui.say import say
from tui.source import facts_from

ERROR = "RuntimeError: No CUDA GPUs are available"


def test_a_long_log_is_read_at_both_ends_and_that_is_said(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    with log.open("w") as file:
        file.write("PyTorch version: 2.9.1+cu128\n")
        file.writelines(
            f"step {at} of many, nothing to be seen here, {at * 7919 % 1000}\n" for at in range(100_000)
        )
        file.write(f"{ERROR}\n")
    done = sdoctor("check", "--from", str(log), "--json", home=tmp_path)
    assert "is long: only the beginning and the end" in done.stderr
    assert '"2.9.1+cu128"' in done.stdout
    assert "no-driver" in done.stdout
    assert "the middle of the report" in done.stdout


def test_a_short_file_is_read_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text(ERROR)
    done = sdoctor("check", "--from", str(tmp_path / "short.txt"), home=tmp_path)
    assert done.stderr == ""


@pytest.mark.parametrize(("name", "says"), [("nothing.txt", "There is no file"), ("", "is a folder")])
def test_what_cannot_be_opened(name: str, says: str, tmp_path: Path) -> None:
    done = sdoctor("check", "--from", str(tmp_path / name), home=tmp_path)
    assert done.returncode == 2
    assert says in sentence_of(done)


def test_a_file_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "private.txt"
    file.write_text(ERROR)
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read everything: then the system's refusal is put in its place

        def refused(_source: str) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(source, "_excerpt", refused)
    with pytest.raises(UsageError, match="may not be read by this user"):
        facts_from(str(file))


def test_ctrl_c_is_one_word_and_its_exit_code(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("sdoctor")), "check", "--from", "-"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SDOCTOR_HOME": str(tmp_path)},
    ) as process:
        # It waits for standard input once it has read this much, and cannot have ended.
        assert process.stdin
        process.stdin.write("x\n" * 100_000)
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.stderr
        assert process.stderr.read() == "sdoctor: Interrupted.\n"
    assert process.returncode == 3


def test_a_sentence_is_folded_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "one of the words of a sentence that is longer than the terminal is wide " * 3
    say(sentence.strip())
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    say(sentence.strip())
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) < 60
    assert " ".join(lines) == f"sdoctor: {sentence.strip()}"
