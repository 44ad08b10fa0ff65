"""Error lines of a torch without CUDA on a machine that is meant to use its card."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import check_of, finding_of, has_vendor, is_mac, only_amd
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy
from doctor.remedies import XPU_INDEX, pip_of, torch_for_cards

_SAID = ("cuda-not-compiled", "torch-no-gpu", "torch-cpu-version")


def _run(facts: Facts) -> Iterator[Finding]:
    message = next((said for kind in _SAID if (said := facts.message(kind))), None)
    cpu_build = (facts.torch.version or "").endswith("+cpu") if facts.torch else False
    asked = _card_is_meant(facts)
    pair = facts.message("xformers-pair")
    if message is None and pair is not None and pair.values["here"].endswith("+cpu"):
        message = pair
    if message is None and not (cpu_build and asked):
        return
    if is_mac(facts):
        yield _on_a_mac(facts, message)
    elif not only_amd(facts) and not (has_vendor(facts, "intel") and not has_vendor(facts, "nvidia")):
        yield _cpu_only(facts, message or asked)
    elif has_vendor(facts, "intel"):
        yield _intel(facts, message)


def _card_is_meant(facts: Facts) -> Message | None:
    """A line that shows that an NVIDIA card is there or wanted, if not the cards themselves."""
    return facts.message("nvidia-present") or facts.message("cuda-wanted")


def _cpu_only(facts: Facts, message: Message | None) -> Finding:
    version = facts.torch.version if facts.torch else None
    pair = facts.message("xformers-pair")
    if pair and pair.values["here"].endswith("+cpu"):
        version = pair.values["here"]
    which = f"torch {version}" if version else "torch"
    remedy = torch_for_cards(facts, tuple(gpu for gpu in facts.gpus or () if gpu.vendor == "nvidia"))
    unsure = message is not None and message.kind == "torch-no-gpu"
    doubt = " Or no driver answers: see that nvidia-smi works." if unsure else ""
    return finding_of(
        "cpu-only-torch",
        message,
        f"The installed {which} is a CPU build: it cannot use a CUDA card.",
        "PyPI's Windows wheels have no CUDA, and another package or an update can replace a CUDA build by "
        "one "
        f"of them.{doubt}",
        Remedy(f"Uninstall it and reinstall a CUDA build in the same Python. {remedy.text}", remedy.commands),
        evidence={"torch.version": version},
    )


def _on_a_mac(_facts: Facts, message: Message | None) -> Finding:
    return finding_of(
        "platform-no-cuda-wheel",
        message,
        "The program asks for CUDA on a Mac (Apple), which has none.",
        "macOS builds of torch have no CUDA; the GPU of an Apple processor is the device 'mps'.",
        Remedy("Choose the device mps (or cpu) in the program's settings, or take a version made for Apple."),
    )


def _intel(facts: Facts, message: Message | None) -> Finding:
    return finding_of(
        "intel-wrong-torch",
        message,
        "An Intel Arc card with a torch that was not built for it.",
        "Intel's cards need the XPU builds of torch. CUDA and CPU builds do not see them.",
        Remedy(
            "Install the XPU build.",
            (
                f"{pip_of(facts)} uninstall -y torch torchvision",
                f"{pip_of(facts)} install torch torchvision --index-url {XPU_INDEX}",
            ),
        ),
    )


CHECK = check_of(
    "torch-build",
    "Do the lines say that torch was built without CUDA?",
    {
        "cpu-only-torch": "torch is a CPU build although a GPU is meant to be used.",
        "platform-no-cuda-wheel": "CUDA was asked for on a platform that has none (macOS).",
        "intel-wrong-torch": "An Intel card with a torch that was not built for it.",
    },
    (
        "github.com/Comfy-Org/ComfyUI/issues/7433",
        "github.com/vladmandic/sdnext/issues/1424",
        "docs.pytorch.org/docs/stable/notes/get_start_xpu.html",
    ),
    run=_run,
)
