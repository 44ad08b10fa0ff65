"""Builds the fake NVIDIA driver library and the environment in which the real pynvml loads it."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "fake_nvml" / "fake_nvml.c"

RTX_3090 = """\
gpu
name NVIDIA GeForce RTX 3090
uuid GPU-11111111-2222-3333-4444-555555555555
capability 8 6
memory 25769803776 1073741824
"""

TESLA_P40 = """\
gpu
name Tesla P40
uuid GPU-99999999-2222-3333-4444-555555555555
capability 6 1
memory 25769803776 0
"""


def build_fake_nvml(folder: Path, scenario: str, without: Iterable[str] = ()) -> dict[str, str]:
    """Compile the library into ``folder``, driven by ``scenario`` (see fake_nvml.c), and return the
    environment.

    ``without`` names functions to leave out, as an old driver does. Skips the test where there is no C
    compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the fake NVIDIA driver with")
    left_out = [f"-DWITHOUT_{name}" for name in without]
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-O0", "-shared", "-fPIC", *left_out, "-o", library, SOURCE], check=True)
    script = folder / "scenario.txt"
    script.write_text(scenario)
    path = ":".join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH"))))
    return os.environ | {"LD_LIBRARY_PATH": path, "FAKE_NVML_SCENARIO": str(script)}
