"""Error lines of Intel's Arc cards."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of
from doctor.facts import Facts, Message
from doctor.finding import Remedy
from doctor.remedies import XPU_INDEX, pip_of


def _xpu(facts: Facts, _message: Message) -> Remedy:
    pip = pip_of(facts)
    return Remedy(
        "Install torch's own XPU build (2.5 or newer); it needs no further package.",
        (f"{pip} uninstall -y torch torchvision intel-extension-for-pytorch",
         f"{pip} install torch torchvision --index-url {XPU_INDEX}"),
    )  # fmt: skip


_RULES = (
    Rule(kind="xpu-not-compiled", id="intel-wrong-torch", title="torch was not built for Intel's cards "
         "(XPU).",
         cause="Only the XPU builds of torch use an Arc card. CUDA and CPU builds do not see "
              "it.", remedy=_xpu),
    Rule(kind="ipex", id="ipex-mismatch", title="intel-extension-for-pytorch does not fit the installed "
         "torch.",
         cause="Each of its versions works with exactly one torch. Since torch 2.5 the XPU builds do "
              "without it.", remedy=_xpu),
)  # fmt: skip

CHECK = check_of(
    "intel",
    "Do the error lines belong to an Intel card?",
    {
        "intel-wrong-torch": "torch was not built for Intel's cards.",
        "ipex-mismatch": "intel-extension-for-pytorch belongs to another torch.",
    },
    (
        "docs.pytorch.org/docs/stable/notes/get_start_xpu.html",
        "github.com/intel/intel-extension-for-pytorch",
    ),
    rules=_RULES,
)
