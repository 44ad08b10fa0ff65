"""Readers of packages and of torch's files; and the whole of gather() on this machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import Facts
from doctor.gather import gather
from doctor.gather.packages import STACK, concerns_stack, normalised, parse_cpp_lib, read_packages
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor
from doctor.gather.report import read_report
from doctor.gather.run import gather_facts
from doctor.gather.torch_build import find_architectures, parse_version, read_torch

VERSION_PY = """\
from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']
__version__ = '2.12.1+cu130'
debug = False
cuda: Optional[str] = '13.0'
hip: Optional[str] = None
"""


def test_version_py_of_new_and_old_torch() -> None:
    assert parse_version(VERSION_PY) == {"__version__": "2.12.1+cu130", "cuda": "13.0", "hip": None}
    old = "__version__ = '1.13.1'\ncuda = None\nhip = None\n"
    assert parse_version(old) == {"__version__": "1.13.1", "cuda": None, "hip": None}


@given(st.text())
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    try:
        found = parse_version(text)
    except ValueError:
        return
    assert set(found) <= {"__version__", "cuda", "hip"}


def test_version_py_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    parse_version(f"__version__ = '1'\nopen({str(mark)!r}, 'w')\n")
    assert not mark.exists()


@given(st.binary(), st.binary())
def test_the_longest_list_of_architectures_is_found_among_other_bytes(before: bytes, after: bytes) -> None:
    library = before + b"\0sm_90\0" + b"\0sm_75 sm_80 sm_90a compute_120\0" + after
    assert find_architectures(library) == ("sm_75", "sm_80", "sm_90a", "compute_120")


def test_a_library_without_a_list() -> None:
    assert find_architectures(b"\0nothing of that kind\0 sm_\0sm_x\0") == ()


def make_torch(folder: Path, version: str = VERSION_PY, library: bytes | None = None) -> Path:
    (folder / "torch/lib").mkdir(parents=True)
    (folder / "torch/__init__.py").write_text("raise ImportError('this torch cannot be imported')\n")
    (folder / "torch/version.py").write_text(version)
    if library is not None:
        (folder / "torch/lib/libtorch_python.so").write_bytes(library)
    return folder


def read_torch_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return read_torch(Redactor("", ""))


def test_a_torch_that_cannot_be_imported_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = read_torch_from(make_torch(tmp_path, library=b"\0sm_75 sm_80\0"), monkeypatch)
    torch = reading.parts["torch"]
    assert (torch.version, torch.cuda, torch.hip) == ("2.12.1+cu130", "13.0", None)
    assert torch.architectures == ("sm_75", "sm_80")
    assert reading.unread == []


def test_no_torch_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read_torch_from(tmp_path, monkeypatch)
    assert reading.parts["torch"] is None
    assert reading.unread == []


def test_a_torch_without_its_library_has_unread_architectures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = read_torch_from(make_torch(tmp_path), monkeypatch)
    assert reading.parts["torch"].architectures is None
    assert [miss.what for miss in reading.unread] == ["torch.architectures"]


def test_a_broken_version_py_leaves_torch_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read_torch_from(make_torch(tmp_path, version="cuda = ("), monkeypatch)
    assert [miss.what for miss in reading.unread] == ["torch"]


def make_package(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires)]) + "\n")


def test_packages_come_from_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requires = ("torch==2.9.1", "Huggingface_Hub<2", "requests", "numpy; extra == 'test'")
    make_package(tmp_path, "xformers", "0.0.33.post2", requires)
    make_package(tmp_path, "unrelated", "1.0")
    (tmp_path / "xformers").mkdir()
    (tmp_path / "xformers/cpp_lib.json").write_text(
        json.dumps({"version": {"cuda": 1208, "torch": "2.9.1+cu128", "python": "3.10.19"}, "env": {}})
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (package,) = read_packages().parts["packages"]
    assert (package.name, package.version) == ("xformers", "0.0.33.post2")
    assert package.requires == ("torch==2.9.1", "Huggingface_Hub<2")
    assert package.build == {"torch": "2.9.1+cu128", "python": "3.10.19", "cuda": "12.8"}


@given(st.text())
def test_any_cpp_lib_is_read_or_refused(text: str) -> None:
    try:
        build = parse_cpp_lib(text)
    except ValueError:
        return
    assert set(build) <= {"torch", "python", "hip", "cuda", "architectures"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["version", "env", "cuda", "torch"]), json_values))
def test_any_json_object_as_cpp_lib_is_read_or_refused(document: dict[str, object]) -> None:
    try:
        parse_cpp_lib(json.dumps(document))
    except ValueError:
        assert not isinstance(document.get("version"), dict)


@given(st.text())
def test_requirements_are_sorted_without_a_crash(text: str) -> None:
    concerns_stack(text)
    assert concerns_stack("torch" + "==1")
    assert normalised("Huggingface_Hub") in STACK


def test_this_machine_is_read_quickly_and_reads_back() -> None:
    started = time.perf_counter()
    facts = gather()
    took = time.perf_counter() - started
    assert Facts.from_json(facts.to_json()) == facts
    assert read_report(facts.to_json()) == facts
    assert facts.host.os is not None
    assert facts.memory.total is not None
    assert facts.memory.available is not None
    assert 0 < facts.memory.available <= facts.memory.total
    assert facts.package("msgspec") is not None
    # Far above what is measured (0.03 s once imported): this catches a reader that waits, not a busy machine.
    assert took < NVML_MAY_TAKE if facts.gpus else took < 3.0


NVML_MAY_TAKE = 15.0


def test_gathering_imports_nothing_heavy() -> None:
    code = (
        "import sys; from doctor.gather import gather; gather();"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'pynvml', 'textual') if name in "
        "sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_what_is_gathered_names_no_home_folder() -> None:
    home = str(Path.home())
    if len(home) < 3:
        pytest.skip("this user has no home folder")
    code = "import sys; from doctor.gather import gather; sys.stdout.buffer.write(gather().to_json())"
    env = os.environ | {"HF_HOME": f"{home}/secret-models", "HF_TOKEN": "hf_0123456789abcdef"}
    text = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, capture_output=True, timeout=60
    ).stdout.decode()
    assert f"{home}/" not in text
    assert "~/secret-models" in text
    assert "hf_0123456789abcdef" not in text


def test_a_reader_that_fails_or_hangs_is_an_unread_fact() -> None:
    def fail() -> Reading:
        raise RuntimeError("no such machine")

    def hang() -> Reading:
        time.sleep(30)
        return Reading()

    def good() -> Reading:
        return Reading(parts={"environment": {"A": "1"}})

    facts = gather_facts({("torch",): fail, ("disks", "gpus"): hang, ("environment",): good}, deadline=0.3)
    assert facts.environment == {"A": "1"}
    assert {miss.what: miss.why for miss in facts.unread} == {
        "torch": "RuntimeError: no such machine",
        "disks": "reading it took longer than 0.3 s",
        "gpus": "reading it took longer than 0.3 s",
    }
