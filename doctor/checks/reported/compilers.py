"""Error lines of torch.compile: triton and the C compiler."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of, is_windows
from doctor.facts import Facts, Message
from doctor.finding import Remedy
from doctor.remedies import pip_of


def _triton(facts: Facts, _message: Message) -> Remedy:
    pip = pip_of(facts)
    if is_windows(facts):
        return Remedy("Do without torch.compile, or install it; on Windows the package is triton-windows.",
                      (f"{pip} install triton-windows",))  # fmt: skip
    return Remedy("Do without torch.compile, or install it.", (f"{pip} install --upgrade triton",))


def _is_needed(facts: Facts) -> bool:
    """xformers does without triton and says so before it prints the error; then only torch's own words count."""
    said = facts.message("triton-missing")
    return facts.message("triton-optional") is None or (said is not None and "working" in said.text)


def _compiler(facts: Facts, _message: Message) -> Remedy:
    if is_windows(facts):
        return Remedy(
            "Install the MSVC Build Tools (C++ workload) and start from their prompt, or use "
            "triton-windows, which brings a "
            "small compiler; a portable Python also lacks the folders include and libs.",
            (
                "winget install Microsoft.VisualStudio.2022.BuildTools",
                f"{pip_of(facts)} install --upgrade triton-windows",
            ),
        )
    return Remedy("Install a compiler and Python's headers (gcc, python3-dev); on Windows the MSVC Build "
         "Tools.",
                  ("sudo apt install build-essential python3-dev",))  # fmt: skip


_RULES = (
    Rule(kind="compiler-missing", id="compiler-missing", title="triton finds no C compiler or no Python "
         "headers.",
         cause="triton compiles a small launcher in C for every kernel. Without gcc, cl or Python.h it "
              "cannot.", remedy=_compiler),
    Rule(kind="triton-clash", id="triton-mismatch", title="The installed triton does not fit torch.",
         cause="Each torch release works with one triton minor version. Another one lacks names that "
              "torch imports.",
         remedy=lambda facts, _message: Remedy("Install the triton of this torch: let pip choose it by "
              "reinstalling torch.", (
             f"{pip_of(facts)} install --force-reinstall --no-cache-dir torch",))),
    Rule(kind="triton-missing", id="triton-missing", applies=_is_needed, title="triton is missing.",
         cause="torch.compile and some kernels need it. The Windows wheels of torch do not bring "
              "it.", remedy=_triton),
    Rule(kind="triton-too-old-gpu", id="triton-card-too-old", title="The card is too old for triton, and "
         "so for torch.compile.",
         cause="triton compiles for compute capability 7.0 (Volta) and newer.",
         remedy=Remedy("Do without torch.compile.", ("export TORCHDYNAMO_DISABLE=1",))),
)  # fmt: skip

CHECK = check_of(
    "compilers",
    "Do the error lines blame triton or the C compiler?",
    {
        "triton-missing": "torch.compile or a kernel needs triton and there is none.",
        "compiler-missing": "triton cannot compile: no C compiler or no Python headers.",
        "triton-mismatch": "The installed triton belongs to another torch.",
        "triton-card-too-old": "The card is too old for triton.",
    },
    (
        "github.com/pytorch/pytorch/issues/137689",
        "github.com/pytorch/pytorch/issues/136361",
        "github.com/woct0rdho/triton-windows/issues/1",
    ),
    rules=_RULES,
)
