"""``sdoctor check``: the text, the JSON document, the options and the exit codes."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from machines import CPU_ONLY, HEALTHY, changed, package, with_gpu, with_packages
from nvml_fixture import RTX_3090, build_fake_nvml
from typer.testing import CliRunner, Result

from doctor.check import Check, examine
from doctor.checks import CHECKS
from doctor.errors import UsageError
from doctor.facts import Facts, Gpu, Host, TorchBuild, Unread
from doctor.finding import Finding, Remedy, Report, Severity
from tui.commands.check import check
from tui.render import CHECK_SCHEMA, render_report, report_json
from tui.report_parts import describe, verdict

BROKEN = with_packages(
    replace(with_gpu(HEALTHY, memory_used=6 * 2**30), torch=TorchBuild(version="2.13.0+cpu")),
    package("xformers", "0.0.35", torch="2.10.0+cu128", cuda="12.8"),
)


def run(*arguments: str, input: bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, list(arguments), input=input)


def saved(folder: Path, facts: Facts) -> str:
    file = folder / "facts.json"
    file.write_bytes(facts.to_json())
    return str(file)


# the text


def test_the_verdict_comes_first_and_the_worst_next() -> None:
    text = render_report(examine(BROKEN, CHECKS), BROKEN, color=False, verbose=False)
    lines = text.splitlines()
    assert lines[0] == "1 error and 2 warnings: this does not work as it is."
    labels = [
        line.split(":")[0] for line in lines if line.startswith(("ERROR", "WARNING", "NOTE", "OK", "UNKNOWN"))
    ]
    assert labels == ["ERROR", "WARNING", "WARNING"]
    assert "          python -m pip uninstall -y torch" in lines
    assert "\x1b" not in text
    assert max(map(len, lines)) <= 100


def test_verbose_shows_evidence_ids_and_what_is_in_order() -> None:
    facts = replace(BROKEN, unread=(Unread(what="cpu.governor", why="no such file"),))
    text = render_report(examine(facts, CHECKS), facts, color=False, verbose=True)
    assert "torch.version = 2.13.0+cpu" in text
    assert "[cpu-only-torch]" in text
    assert "\nOK: " in text
    assert "cpu.governor: no such file" in text


def test_commands_are_never_torn_apart() -> None:
    command = "python -m pip install " + "x" * 150
    report = Report((Finding(id="a", severity=Severity.ERROR, title="T.", remedy=Remedy("Do.", (command,))),))
    assert command in render_report(report, HEALTHY, color=False, verbose=False)


def test_cards_of_a_kind_are_counted_and_what_is_not_known_is_left_out() -> None:
    card = Gpu(index=0, name="RTX 3090")
    pasted = Facts(host=Host(os="Darwin"), gpus=(card, card), read_from={"text": ("gpus",)})
    assert describe(pasted) == "macOS; 2 x RTX 3090"
    assert describe(Facts(read_from={"text": ("messages",)})) == "no system named; no card named"


def test_color_only_wraps_the_words() -> None:
    report = examine(BROKEN, CHECKS)
    plain = render_report(report, BROKEN, color=False, verbose=True)
    colored = render_report(report, BROKEN, color=True, verbose=True)
    assert "\x1b[1;31mERROR:\x1b[0m" in colored
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_a_strangers_facts_cannot_steer_the_terminal() -> None:
    evil = with_gpu(replace(HEALTHY, torch=TorchBuild(version="2.13.0+cpu")), name="\x1b[2JCard\nERROR: fake")
    text = render_report(examine(evil, CHECKS), evil, color=False, verbose=True)
    assert "\x1b" not in text
    assert "\nERROR: fake" not in text


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ([Severity.ERROR], "1 error: this does not work as it is."),
        ([Severity.ERROR, Severity.WARNING, Severity.WARNING], "1 error and 2 warnings: this does not work "
        "as it is."),
        ([Severity.WARNING, Severity.OK], "No error found; 1 warning."),
        ([Severity.NOTE, Severity.OK], "No error found."),
        ([Severity.UNKNOWN], "No error found in what could be read."),
        ([], "The checks that were asked found nothing."),
    ],
)  # fmt: skip
def test_the_verdict_agrees_with_the_findings(severities: list[Severity], words: str) -> None:
    report = Report(tuple(Finding(id="x", severity=severity, title="T.") for severity in severities))
    assert verdict(report)[1] == words


def test_a_check_that_failed_is_in_the_verdict() -> None:
    def crash(facts: Facts) -> list[Finding]:
        raise RuntimeError("x")

    broken = Check(name="broken", title="Is it?", needs=(), causes={}, run=crash)
    assert "1 check failed" in verdict(examine(HEALTHY, [broken]))[1]


# the JSON document


def test_the_shape_of_the_document() -> None:
    document = json.loads(json.dumps(report_json(examine(BROKEN, CHECKS), BROKEN)))
    assert document["schema"] == CHECK_SCHEMA
    assert document["facts"]["schema"] == "sdoctor.facts/1"
    assert document["summary"]["errors"] == 1
    assert document["summary"]["warnings"] == 2
    for finding in document["findings"]:
        assert set(finding) == {"id", "severity", "title", "evidence", "cause", "remedy", "page"}
        assert set(finding["remedy"]) == {"text", "commands"}
        assert finding["severity"] in ("error", "warning", "note", "ok", "unknown")


def test_the_document_of_one_check_can_be_checked_again(tmp_path: Path) -> None:
    first = run("--json", "--from", saved(tmp_path, BROKEN))
    again = run("--json", "--from", "-", input=first.stdout_bytes)
    assert json.loads(first.stdout) == json.loads(again.stdout)


# options and exit codes


def test_exit_codes(tmp_path: Path) -> None:
    assert run("--from", saved(tmp_path, BROKEN)).exit_code == 1
    assert run("--json", "--from", saved(tmp_path, BROKEN)).exit_code == 1
    assert run("--from", saved(tmp_path, HEALTHY)).exit_code == 0
    warned = saved(tmp_path, changed(CPU_ONLY, cpu={"niceness": 10}))
    assert run("--from", warned).exit_code == 0
    assert run("--from", warned, "--strict").exit_code == 1
    assert run("--from", warned, "--strict", "--skip", "low-priority").exit_code == 0


def test_only_and_skip(tmp_path: Path) -> None:
    def ids(*arguments: str) -> list[str]:
        result = run("--json", "--from", saved(tmp_path, BROKEN), *arguments)
        return [finding["id"] for finding in json.loads(result.stdout)["findings"]]

    assert ids("--only", "torch-build") == ["cpu-only-torch"]
    assert ids("--only", "vram-held,xformers") == ["xformers-mismatch", "vram-held"]
    assert "cpu-only-torch" not in ids("--skip", "cpu-only-torch")


def test_list() -> None:
    text = run("--list").stdout
    document = json.loads(run("--list", "--json").stdout)
    assert [one["name"] for one in document["checks"]] == [one.name for one in CHECKS]
    assert all(cause in text for one in CHECKS for cause in one.causes)
    assert run("--list", "--only", "vram").stdout.startswith("vram: ")


def test_save_facts(tmp_path: Path) -> None:
    target = tmp_path / "new" / "facts.json"
    run("--from", saved(tmp_path, BROKEN), "--save-facts", str(target))
    assert Facts.from_json(target.read_bytes()) == BROKEN


@pytest.mark.parametrize(
    ("arguments", "content", "says"),
    [
        (("--only", "nonsense"), None, "no check and no finding called 'nonsense'"),
        (("--from", "nowhere.json"), None, "There is no file 'nowhere.json'"),
        (
            ("--from", "-"),
            b"It does not work, please help.",
            "Standard input is not a report that sdoctor can read: it names no version",
        ),
        (("--from", "-"), b"{}", "not a report"),
        (("--from", "-"), b'{"schema": "other/1"}', "'other/1'"),
        (("--from", "-"), b'{"schema": "sdoctor.check/1"}', "not a report"),
        (("--from", "-"), b'{"schema": "sdoctor.facts/1", "gpus": 3}', "not a report"),
        (("--from", "-"), b"\xff\xfe\x00", "not a report"),
        (("--from", "-"), b" \n", "it is empty"),
        (("--from", "-"), b"\x7fELF\x02\x01\x01" + b"\0\x03" * 40, "it is not text"),
        (("--from", "/"), None, "'/' is a folder"),
        (("--only", "vran"), None, "did you mean vram"),
        (("--skip", "oom-to-big"), None, "did you mean oom-too-big?"),
    ],
)
def test_misuse_is_one_clear_sentence(arguments: tuple[str, ...], content: bytes | None, says: str) -> None:
    result = run(*arguments, input=content)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--from", saved(tmp_path, HEALTHY), "--save-facts", str(tmp_path / "file" / "facts.json"))
    assert isinstance(result.exception, UsageError)
    assert "cannot be written" in str(result.exception)


# the real thing, in a process of its own

MAIN = "import typer; from tui.commands.check import check; app = typer.Typer(); app.command()(check); app()"


def real(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", MAIN, *arguments], capture_output=True, text=True, timeout=60, env=env
    )


def test_this_machine_end_to_end() -> None:
    started = time.perf_counter()
    done = real("--json")
    took = time.perf_counter() - started
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["summary"]["errors"] else 0)
    assert done.stderr == ""
    assert not [finding for finding in document["findings"] if "exception" in finding["evidence"]]
    # Measured 0.4 s; this catches an import of torch (2 s and more) even on a busy machine.
    assert took < 15


def test_a_machine_with_a_fake_card_end_to_end(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the fake driver library is an ELF file")
    scenario = RTX_3090.replace("1073741824", "20000000000") + "process 4711 18000000000\n"
    done = real("--json", env=build_fake_nvml(tmp_path, scenario))
    found = {finding["id"]: finding["severity"] for finding in json.loads(done.stdout)["findings"]}
    assert found["vram-held"] == "warning"
    assert found["vram-tier"] == "ok"
    assert "no-gpu" not in found


def test_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tui.checking import _facts; from doctor.checks import CHECKS;"
        "from doctor.check import examine; import tui.render; f = _facts(None);"
        "tui.render.render_report(examine(f, CHECKS), f, color=False, verbose=True);"
        "print([name for name in ('torch', 'diffusers', 'textual', 'rich.console') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_no_color_without_a_terminal() -> None:
    done = real("--verbose", env=os.environ | {"FORCE_COLOR": "1"})
    assert "\x1b" not in done.stdout
