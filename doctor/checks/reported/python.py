"""Error lines of pip and of a Python that does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, is_mac, is_windows
from doctor.compat import TORCH_RELEASES, minor_release
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of

_FAILED = ("install-failed", "wheel-platform", "python-required")
_CUDA_ONLY = ("onnxruntime-gpu", "nvidia-", "xformers", "triton")
_OLD_UI = "3.10"
"""What A1111, Forge and most one-click installers are made for
(github.com/AUTOMATIC1111/stable-diffusion-webui, modules/launch_utils.py)."""


def _run(facts: Facts) -> Iterator[Finding]:
    if facts.python.bits == 32:
        yield _bits(facts)
        return
    failed = next((said for kind in _FAILED if (said := facts.message(kind))), None)
    if failed is not None:
        yield from _failed(facts, failed)
    yield from _elsewhere(facts)


def _bits(facts: Facts) -> Finding:
    return finding_of(
        "python-32bit",
        facts.message("install-failed"),
        f"This is a 32-bit Python ({facts.python.version or 'version unknown'}), and torch exists for "
        f"64-bit only.",
        "pip finds no torch for a 32-bit Python. It only says 'No matching distribution found'.",
        Remedy(
            "Install a 64-bit Python (on Windows the installer '64-bit'), delete the folder venv and "
            "start again."
        ),
    )


def _failed(facts: Facts, failed: Message) -> Iterator[Finding]:
    package, version = failed.values.get("package", "torch"), failed.values.get("version", "")
    base, _, tag = version.partition("+")
    offered = failed.values.get("offered", "").replace(" ", "").split(",")
    asks_cuda = tag.startswith("cu") or package.startswith(_CUDA_ONLY)
    if asks_cuda and (is_mac(facts) or (base in offered and not is_windows(facts))):
        yield _no_cuda_here(facts, failed, base, package, tag)
    elif facts.python.version or failed.kind != "install-failed" or "from versions: none" in failed.text:
        yield _no_wheel(facts, failed, package, base)


def _no_cuda_here(facts: Facts, failed: Message, base: str, package: str, tag: str) -> Finding:
    plain = f"{package}=={base}" if base else package.replace("-gpu", "")
    return finding_of(
        "platform-no-cuda-wheel",
        failed,
        f"There is no CUDA wheel ({tag or package}) for this platform: a Mac (Apple) or another without "
        f"CUDA.",
        "The program's list of requirements is for NVIDIA cards. The plain version exists, the CUDA one "
        "does not.",
        Remedy("Install the plain version; on a Mac it computes on the device mps.", (f"{pip_of(facts)} "
             f"install {plain}",)),
    )  # fmt: skip


def _no_wheel(facts: Facts, failed: Message, package: str, version: str) -> Finding:
    here = facts.python.version or failed.values.get("found") or _tag_of(failed)
    fitting = _pythons(package, version) or failed.values.get("wanted")
    wanted = f"{package} {version}".strip()
    range_words = f"It has wheels for Python {fitting}. " if fitting else ""
    return finding_of(
        "python-no-wheel",
        failed,
        f"There is no wheel of {wanted} for Python {here or '(version unknown)'}.",
        f"{range_words}pip offers nothing for a Python that is older or newer than those a package was "
        f"built for.",
        Remedy(
            f"Use Python {_OLD_UI} (or 3.11) for web UIs and older packages, 3.11 to 3.13 for a current "
            f"torch: install it, "
            "delete the folder venv, and make a new one.",
            ("py -3.10 -m venv venv",) if is_windows(facts) else ("python3.10 -m venv venv",),
        ),
        evidence={"python.version": here},
    )


def _tag_of(failed: Message) -> str | None:
    """The Python that a refused wheel is for, from its tag: "cp310" is 3.10."""
    match = re.search(r"-cp3(\d+)-", failed.values.get("wheel", ""))
    return f"other than 3.{match[1]}" if match else None


def _pythons(package: str, version: str) -> str | None:
    wanted = minor_release(version)
    if package != "torch" or wanted is None:
        return None
    row = next((row for row in TORCH_RELEASES if minor_release(row.torch) == wanted), None)
    # Before 2.0: wheels for 3.7 to 3.10, from 1.13 on also 3.11 on Linux (pypi.org/project/torch).
    return f"{row.python[0]} to {row.python[1]}" if row else "3.7 to 3.10" if wanted < (2, 0) else None


def _elsewhere(facts: Facts) -> Iterator[Finding]:
    """pip works on another Python than the one that runs the program."""
    said = facts.message("foreign-pip")
    missing, at = facts.message("no-module"), facts.message("pip-in")
    if (
        said is None
        and missing
        and at
        and _same(missing.values.get("module", ""), at.values.get("package", ""))
    ):
        said = at
    if (
        said is None
        and at is not None
        and facts.python.prefix == "python_embeded"
        and "embed" not in at.text.lower()
    ):
        said = at
    said = said or _other_version(facts)
    if said is None and missing and facts.message("user-install"):
        said = facts.message("user-install")
    if said is None:
        return
    embedded = facts.python.prefix == "python_embeded" or "portable" in said.text.lower()
    yield finding_of(
        "wrong-python",
        said,
        "pip installs into another Python than the one that runs the program.",
        "A bare pip belongs to the Python of the system. The program runs its own: an embedded one "
        "(python_embeded) or "
        "that of a virtual environment.",
        Remedy(
            "Run pip with the embedded Python, from the portable folder."
            if embedded
            else "Run pip with the program's own Python: always as 'python -m pip', inside its "
                 "environment.",
            (r".\python_embeded\python.exe -m pip install PACKAGE",) if embedded else (f"{pip_of(facts)} "
                 f"install PACKAGE",),
        ),
    )  # fmt: skip


def _other_version(facts: Facts) -> Message | None:
    """A message in which pip works for another Python release than the one that the program says it runs with."""
    here = minor_release(facts.python.version)
    for kind in ("pip-in", "pip-wheel"):
        said = facts.message(kind)
        found = re.search(r"python ?3\.?(\d{1,2})\b", said.values.get("path", ""), re.I) if said else None
        minor = (said.values.get("minor") or (found[1] if found else None)) if said else None
        if here and minor and here[0] == 3 and int(minor) != here[1]:
            return said
    return None


def _same(module: str, package: str) -> bool:
    return bool(module) and module.split(".")[0].lower().replace("_", "-") == package.lower().replace(
        "_", "-"
    )


_RULES = (
    Rule(kind="externally-managed", id="externally-managed", title="The system's Python does not take "
         "packages from pip.",
         cause="The distribution manages this Python itself (PEP 668). Programs get an environment of "
              "their own.",
         remedy=Remedy("Make a virtual environment and install there.",
                       ("python3 -m venv venv", "./venv/bin/python -m pip install --upgrade pip"))),
    Rule(kind="venv-missing", id="venv-missing", title="Python's module for virtual environments is not "
         "installed.",
         cause="Debian and Ubuntu ship it in a package of its own. Start scripts stop without it.",
         remedy=Remedy("Install it, remove the half-made folder venv, start again.", ("sudo apt install "
              "python3-venv",))),
    Rule(kind="build-tools", id="build-tools-missing", title="A package has no wheel here and could not "
         "be compiled.",
         cause="pip then builds it from source, which needs a compiler, and nvcc for CUDA extensions. "
              "Often a wheel exists for "
         "another Python version.",
         remedy=lambda facts, _message: Remedy(
             "Choose a Python version that the package has wheels for (3.10 to 3.12), or install the "
             "build tools.",
             ("winget install Microsoft.VisualStudio.2022.BuildTools",) if is_windows(facts)
             else ("sudo apt install build-essential python3-dev",))),
    Rule(kind="cuda-build-mismatch", id="nvcc-mismatch",
         title=lambda _facts, message: f"nvcc is of CUDA {message.values.get('found', '?')}, torch of CUDA "
         f"{message.values.get('wanted', '?')}: extensions cannot be compiled.",
         cause="A CUDA extension must be compiled with the CUDA of torch. Several toolkits are installed, "
              "and CUDA_HOME or PATH "
         "names another one.",
         remedy=Remedy("Point CUDA_HOME at the toolkit of torch's version, or take a ready wheel of the "
              "package.",
                       ("ls -d /usr/local/cuda-*", "export CUDA_HOME=/usr/local/cuda-12.8"))),
    Rule(kind="incompatible-python", id="python-untested", severity=Severity.NOTE,
         title=lambda _facts, message: f"The web UI was tested with Python 3.10, not with "
              f"{message.values.get('found', 'this one')}.",
         cause="Its pinned packages have wheels for Python 3.10. Others may work or not.",
         remedy=Remedy("If something fails, install Python 3.10 (or 3.11), delete the folder venv and "
              "start again."),
         applies=lambda facts: not any(facts.message(kind) for kind in _FAILED)),
    Rule(kind="pip-ssl", id="ssl-error", title="Downloads fail: the server's certificate is not trusted "
         "here.",
         cause="A proxy, a virus scanner or an old list of certificates stands between. The clock may be "
              "wrong too.",
         remedy=lambda facts, _message: Remedy(
             "Update the certificates; behind a company's proxy, name its certificate "
             "(REQUESTS_CA_BUNDLE).",
             (f"{pip_of(facts)} install --upgrade certifi pip-system-certs",))),
)  # fmt: skip

CHECK = check_of(
    "python",
    "Do the error lines blame Python or pip?",
    {
        "python-32bit": "A 32-bit Python: torch exists for 64-bit only.",
        "python-no-wheel": "This Python has no wheel of the wanted version.",
        "platform-no-cuda-wheel": "A CUDA wheel was asked for on a platform without one.",
        "wrong-python": "Packages go into another Python than the one that runs the program.",
        "externally-managed": "The system's Python takes no packages from pip.",
        "venv-missing": "The module for virtual environments is missing.",
        "build-tools-missing": "A package had to be compiled and could not be.",
        "nvcc-mismatch": "nvcc and torch are of different CUDA versions.",
        "python-untested": "The web UI was made for another Python (nothing wrong by itself).",
        "ssl-error": "Certificates are not trusted, so downloads fail.",
    },
    (
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/5535",
        "github.com/rupeshs/fastsdcpu/issues/78",
        "github.com/Nerogar/OneTrainer/issues/169",
        "peps.python.org/pep-0668",
        "pypi.org/project/torch (wheel tags)",
    ),
    rules=_RULES,
    run=_run,
)
