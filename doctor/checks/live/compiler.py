"""Is there what torch.compile needs?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.cards import cuda_usable
from doctor.checks.live.results import answered
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of


def run(facts: Facts) -> Iterator[Finding]:
    """A compiler that builds an extension; and on a card triton. Only torch.compile needs them."""
    result = answered(facts, "compiler")
    if result is None:
        return
    notes = result.notes
    if notes.get("compiler") == "none" or notes.get("extension", "ok") != "ok":
        found = "none was found" if notes.get("compiler") == "none" else "the one that was found fails"
        yield Finding(
            id="compiler-missing",
            severity=Severity.NOTE,
            title=f"torch.compile will not work: it needs a C++ compiler and Python's headers, and {found}.",
            evidence=dict(notes),
            cause="torch.compile translates the model to C++ or, on a card, to kernels with a launcher in C. "
            "Everything else works without.",
            remedy=_install(facts),
        )
    triton = notes.get("triton", "")
    if cuda_usable(facts) and (triton == "not installed" or "Error" in triton):
        package = "triton-windows" if facts.host.os == "Windows" else "triton"
        yield Finding(
            id="triton-missing",
            severity=Severity.NOTE,
            title="torch.compile will not work on the card: triton is "
            f"{'not installed' if triton == 'not installed' else 'installed but cannot be imported'}.",
            evidence=dict(notes),
            cause="torch.compile makes kernels for NVIDIA cards with triton. The Windows wheels of torch do not "
            "bring it.",
            remedy=Remedy(
                "Install it, or do without torch.compile.", (f"{pip_of(facts)} install {package}",)
            ),
        )


def _install(facts: Facts) -> Remedy:
    system = (facts.host.distribution or "").lower()
    if facts.host.os == "Windows":
        return Remedy("Install the MSVC Build Tools with the C++ workload.",
                      ("winget install Microsoft.VisualStudio.2022.BuildTools",))  # fmt: skip
    if facts.host.os == "Darwin":
        return Remedy("Install Apple's command line tools.", ("xcode-select --install",))
    if "fedora" in system or "red hat" in system or "rocky" in system or "alma" in system:
        return Remedy("Install them.", ("sudo dnf install gcc-c++ python3-devel",))
    if "arch" in system or "manjaro" in system:
        return Remedy("Install them.", ("sudo pacman -S gcc python",))
    return Remedy("Install them.", ("sudo apt install build-essential python3-dev",))


CHECK = Check(
    name="live-compiler",
    title="Is there what torch.compile needs?",
    needs=(),
    causes={
        "compiler-missing": "triton cannot compile: no C compiler or no Python headers.",
        "triton-missing": "torch.compile or a kernel needs triton and there is none.",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch (torch/_inductor/cpp_builder.py)",
        "github.com/triton-lang/triton (python/triton/runtime/build.py)",
        "github.com/woct0rdho/triton-windows",
    ),
    echoes=True,
)
