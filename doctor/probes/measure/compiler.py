"""Is there what torch.compile needs: a compiler that builds a Python extension, and triton?

torch's Inductor compiles C++ on a processor (torch/_inductor/cpp_builder.py), triton a small launcher in C on a card
(triton/runtime/build.py); both need the headers of Python.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from doctor.probes.say import Say

SOURCE = '#include <Python.h>\n#include <vector>\nextern "C" int answer(void) { return std::vector<int>(42).size(); }\n'
TIME_LIMIT = 20.0


def measure(say: Say) -> None:
    """Compile, load and call a function; then import triton if it is there."""
    compiler = find_compiler()
    say.note("compiler", compiler or "none")
    if compiler is not None and sys.platform != "win32":
        # cl needs the environment of a developer prompt, which torch looks up by itself: on Windows it is only found.
        say.during("compiling a small extension")
        started = time.perf_counter()
        fault = try_compiler(compiler)
        say.note("extension", fault or "ok")
        if fault is None:
            say.value("compile", time.perf_counter() - started, "s")
    say.during("importing triton")
    say.note("triton", _triton())


def find_compiler() -> str | None:
    """The C++ compiler that torch's Inductor would take, or None."""
    wanted = ("cl",) if sys.platform == "win32" else (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return next((found for name in wanted if name and (found := shutil.which(name.split()[0]))), None)


def try_compiler(compiler: str) -> str | None:
    """Build and call an extension; None if that worked, else the error's first lines."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "probe.cpp"), Path(folder, "probe.so")
        source.write_text(SOURCE)
        include = f"-I{sysconfig.get_paths()['include']}"
        try:
            done = subprocess.run(
                [compiler, "-O0", "-shared", "-fPIC", include, str(source), "-o", str(library)],
                capture_output=True, text=True, timeout=TIME_LIMIT, check=False, errors="replace",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{type(error).__name__}: {error}"
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            return "\n".join(lines[:3]) or f"it ended with exit code {done.returncode}"
        answer = ctypes.CDLL(str(library)).answer()
        return None if answer == 42 else f"the compiled function returned {answer} for 42"


def _triton() -> str:
    if importlib.util.find_spec("triton") is None:
        return "not installed"
    try:
        triton = importlib.import_module("triton")
    except Exception as error:  # noqa: BLE001  (the error is the answer)
        return f"{type(error).__name__}: {error}"
    return str(getattr(triton, "__version__", "of unknown version"))
