"""What do the error lines of a report mean on the machine and software that it names?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from doctor.check import Check
from doctor.compat import (
    EXACT_DRIVER_FLOORS,
    NATIVE_BF16,
    OLDEST_CAPABILITY,
    Capability,
    architectures_of,
    release,
)
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP, driver_update

_BLACKWELL: Capability = (10, 0)
_MPS_HALF = (2, 1)
"""float16 on MPS crashed with torch 2.0.1 (github.com/huggingface/diffusers#4480); newer ones are not held guilty."""
_INDEX = "https://download.pytorch.org/whl/"


def run(facts: Facts) -> Iterator[Finding]:
    """Join messages with card, torch and Python."""
    yield from _architecture(facts)
    yield from _driver(facts)
    yield from _xformers(facts)
    yield from _packages(facts)
    yield from _numbers(facts)


def _find(
    cause_id: str, message: Message | None, title: str, cause: str, text: str, *commands: str
) -> Finding:
    evidence: dict[str, object] = {"message": message.text, **message.values} if message else {}
    return Finding(
        id=cause_id,
        severity=Severity.ERROR,
        title=title,
        evidence=evidence,
        cause=cause,
        remedy=Remedy(text, commands),
    )


def _capability(facts: Facts, message: Message | None) -> Capability | None:
    if message and (sm := message.values.get("sm")):
        return int(sm[:-1]), int(sm[-1])
    if message and "major" in message.values:
        return int(message.values["major"]), int(message.values["minor"])
    return next((gpu.capability for gpu in facts.gpus or () if gpu.capability), None)


def _architecture(facts: Facts) -> Iterator[Finding]:
    kinds = ("arch-not-compatible", "arch-range", "no-kernel-image", "arch-advice")
    message = next((m for kind in kinds if (m := facts.message(kind))), None)
    capability = _capability(facts, message)
    cuda = release(facts.torch.cuda) if facts.torch else None
    tabled = facts.torch and architectures_of(facts.torch.version, facts.torch.cuda, facts.host.machine)
    by_tag = bool(
        cuda
        and capability
        and not tabled
        and ((capability >= _BLACKWELL and cuda < (12, 8)) or (capability < (7, 5) and cuda >= (13,)))
    )
    if capability is None or not (message or by_tag):
        return
    name = f"compute capability {capability[0]}.{capability[1]} (sm_{capability[0]}{capability[1]})"
    if capability < OLDEST_CAPABILITY:
        yield _find(
            "gpu-too-old",
            message,
            f"The card, {name}, is too old for every current torch.",
            "No torch build since 2.6 has code for it.",
            "Use the processor or a newer card.",
        )
    elif capability == (12, 1) and (not cuda or cuda >= (12, 8)):
        yield replace(
            _find(
                "arch-warning-harmless",
                message,
                f"torch warns about the card, {name}, without need.",
                "Code for 12.0 runs on 12.1.",
                "Nothing has to be done.",
            ),
            severity=Severity.NOTE,
        )
    elif capability >= _BLACKWELL:
        yield _find(
            "arch-not-in-wheel",
            message,
            f"The card, {name}, is newer than the installed torch.",
            "The build has no code for it. Blackwell needs CUDA 12.8 or newer.",
            "Install torch 2.7 or newer from cu128, or from cu130 with driver 580 or newer.",
            f"{PIP} uninstall -y torch torchvision",
            f"{PIP} install torch torchvision --index-url {_INDEX}cu128",
        )
    elif capability < (7, 5):
        yield _find(
            "arch-dropped",
            message,
            f"The card, {name}, was dropped from the installed torch build.",
            "The CUDA 12.6 builds, up to torch 2.14, still have Maxwell, Pascal and Volta.",
            "Install from cu126, and remove --skip-install or --skip-prepare-environment from the "
            "start flags if they are there.",
            f"{PIP} uninstall -y torch torchvision",
            f"{PIP} install torch torchvision --index-url {_INDEX}cu126",
        )


def _driver(facts: Facts) -> Iterator[Finding]:
    message = facts.message("driver-too-old")
    old = next((g for g in facts.gpus or () if g.capability and g.capability < OLDEST_CAPABILITY), None)
    if message and old:
        yield _find(
            "gpu-too-old",
            message,
            f"{old.name} is too old for every current torch.",
            f"Its compute capability is {old.capability}, and its last driver serves no current CUDA.",
            "Use the processor or a newer card.",
        )
    elif message:
        cuda = facts.torch.cuda if facts.torch else None
        floor = EXACT_DRIVER_FLOORS.get(cuda or "", ("525.60.13", "528.33"))[facts.host.os == "Windows"]
        remedy = driver_update(facts, floor)
        yield _find(
            "driver-too-old",
            message,
            f"The NVIDIA driver {facts.driver.version or ''} is too old for this torch.",
            "torch was built with a newer CUDA than the driver serves.",
            remedy.text,
            *remedy.commands,
        )
    amd = any(gpu.vendor == "amd" for gpu in facts.gpus or ())
    unable = facts.message("torch-no-gpu") or facts.message("cuda-not-compiled")
    if unable and amd:
        yield _find(
            "amd-wrong-torch",
            unable,
            "An AMD card with a torch that was built for CUDA.",
            "CUDA builds cannot use a Radeon.",
            "Use ROCm on Linux, or a DirectML or ZLUDA fork on Windows.",
        )
    elif unable and unable.kind == "torch-no-gpu":
        yield _find(
            "cpu-only-torch",
            unable,
            "torch cannot use the GPU, most likely because it is a CPU build.",
            "The start script tested it.",
            "Reinstall a CUDA build of torch.",
            f"{PIP} install --force-reinstall torch torchvision --index-url {_INDEX}cu130",
        )
    libcuda = facts.message("libcuda-missing")
    if libcuda and facts.host.wsl:
        yield _find(
            "wsl-libcuda-path",
            libcuda,
            "libcuda in /usr/lib/wsl/lib is not found.",
            "WSL keeps the driver's library outside of the usual folders.",
            "Put the folder on the path.",
            "export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH",
        )


def _xformers(facts: Facts) -> Iterator[Finding]:
    pair = facts.message("xformers-pair")
    if pair and pair.values["built"] != pair.values["here"]:
        here = pair.values["here"]
        if here.endswith("+cpu"):
            yield _find(
                "cpu-only-torch",
                pair,
                f"The installed torch {here} is a CPU build; xformers wants CUDA.",
                "Another installation replaced the CUDA build.",
                "Reinstall torch with CUDA.",
                f"{PIP} install --force-reinstall torch torchvision --index-url {_INDEX}cu130",
            )
        yield _find(
            "xformers-mismatch",
            pair,
            f"xformers was built for torch {pair.values['built']}, not for {here}.",
            "Its extensions do not load.",
            "Remove it; torch's own attention (SDPA) does the work.",
            f"{PIP} uninstall -y xformers",
        )
    card = facts.message("xformers-capability")
    capability = _capability(facts, card)
    if card and capability and capability < NATIVE_BF16 and facts.message("xformers-cutlass"):
        yield _find(
            "bf16-unsupported",
            card,
            f"bfloat16 on a card of compute capability {capability[0]}.{capability[1]}.",
            "xformers has float16 kernels for old cards but no bfloat16 ones.",
            "Load the model in float16 or float32.",
        )
    missing = facts.message("xformers-missing")
    if missing:
        yield _find(
            "xformers-missing",
            missing,
            "xformers is not installed for this Python.",
            "Its wheels exist for some Python versions only.",
            "Start without --xformers, or use Python 3.10 or 3.11 with a matching wheel.",
        )


def _packages(facts: Facts) -> Iterator[Finding]:
    failed = facts.message("install-failed")
    if failed and facts.python.bits != 32:
        wanted = failed.values.get("version", "")
        base, _, tag = wanted.partition("+")
        if tag.startswith("cu") and base in failed.values.get("offered", "").split(", "):
            yield _find(
                "platform-no-cuda-wheel",
                failed,
                f"There is no CUDA wheel ({tag}) for this platform.",
                "The plain version is offered, so Apple or another machine without CUDA wheels asked.",
                "On a Mac install the plain version.",
                f"{PIP} install torch=={base}",
            )
        elif facts.python.version:
            yield _find(
                "python-no-wheel",
                failed,
                f"There is no wheel of the wanted torch for Python {facts.python.version}.",
                "pip offers nothing for another Python than those it was built for.",
                "Use Python 3.10 for older web UIs, 3.11 to 3.13 for a current torch.",
            )
    for kind in ("import-name", "requires"):
        message = facts.message(kind)
        if message:
            values = message.values
            what = (
                values.get("name") or f"{values.get('wanted', '')} (found {values.get('found', 'another')})"
            )
            package = values["package"].split(".")[0]
            yield _find(
                "hf-version-conflict",
                message,
                f"{package} does not fit its companions: {what}.",
                "One of the Hugging Face packages was upgraded without the others.",
                "Upgrade them together; cached_download needs huggingface_hub below 0.26.",
                f"{PIP} install --upgrade diffusers transformers accelerate {package}",
            )
    pip = facts.message("foreign-pip")
    if pip:
        yield _find(
            "wrong-python",
            pip,
            "pip installs into another Python than the program's embedded one.",
            "A portable ComfyUI runs its own python_embeded; a bare pip belongs to the system's Python.",
            "Run pip with the embedded Python, from the portable folder.",
            r".\python_embeded\python.exe -m pip install PACKAGE",
        )
    flash = facts.message("flash-attn")
    if flash:
        torch = facts.torch.version if facts.torch else "the installed torch"
        yield _find(
            "flash-attn-mismatch",
            flash,
            f"flash-attn was built for another torch than {torch}.",
            "Its library asks for a symbol that this torch does not have.",
            "Build it again, or remove it.",
            f"{PIP} install --force-reinstall --no-build-isolation flash-attn",
        )


def _numbers(facts: Facts) -> Iterator[Finding]:
    nan = facts.message("nan-image")
    sixteen = next((g.name for g in facts.gpus or () if "GTX 16" in (g.name or "")), None)
    if nan and sixteen:
        yield _find(
            "fp16-nan-gtx16xx",
            nan,
            f"{sixteen} gives NaN in half precision (float16).",
            "Cards of the GTX 16xx series do.",
            "Load the pipeline in float32 (--no-half, --precision full).",
        )
    elif nan:
        yield _find(
            "fp16-nan-vae",
            nan,
            "The picture became NaN, most likely in the VAE in half precision.",
            "The SDXL VAE overflows in float16.",
            "Run the VAE in float32, or use sdxl-vae-fp16-fix (--no-half-vae).",
        )
    torch = release(facts.torch.version) if facts.torch else None
    early = facts.message("half-asked") if torch and torch < _MPS_HALF else None
    half = facts.message("mps-half") or early
    if half and facts.host.os == "Darwin":
        yield _find(
            "mps-fp16",
            half,
            "Half precision (float16) fails on the MPS backend of this torch.",
            "Older torch lacks kernels for it.",
            "Use float32, or update torch.",
        )
    yield from _macos(facts)


def _macos(facts: Facts) -> Iterator[Finding]:
    words = (facts.host.distribution or "").replace("-", " ").split()
    version = release(words[1]) if len(words) > 1 and words[0].lower() == "macos" else None
    torch = release(facts.torch.version) if facts.torch else None
    arm = "arm64" in (facts.host.distribution or "") or facts.host.machine == "arm64"
    if version and torch and arm and torch >= (1, 12) and version < (12, 3):
        yield _find(
            "mps-os-too-old",
            None,
            f"macOS {words[1]} is older than the MPS backend needs: 12.3.",
            "torch uses the GPU from macOS 12.3 on.",
            "Update macOS.",
            "softwareupdate --install --all",
        )


CHECK = Check(
    name="reported-context",
    title="What do the error lines mean on the machine that the report names?",
    needs=(),
    causes={
        "arch-not-in-wheel": "The card is newer than the code inside the installed torch build.",
        "arch-dropped": "The card was dropped from this build, but another build of torch still has it.",
        "gpu-too-old": "No current torch build has code for this card.",
        "arch-warning-harmless": "torch warns about 12.1 although code for 12.0 runs on it.",
        "wrong-python": "Packages go into another Python than the one that runs the program.",
        "driver-too-old": "The driver is older than torch's CUDA needs.",
        "amd-wrong-torch": "An AMD card with a torch that was built for CUDA.",
        "cpu-only-torch": "torch is a CPU build although a GPU is meant to be used.",
        "wsl-libcuda-path": "Under WSL libcuda is not found.",
        "xformers-mismatch": "xformers was built for another torch.",
        "xformers-missing": "xformers is wanted but not installed for this Python.",
        "bf16-unsupported": "bfloat16 on a card or kernel without it.",
        "platform-no-cuda-wheel": "A CUDA wheel was asked for on a platform without one.",
        "python-no-wheel": "This Python has no wheel of the wanted version.",
        "hf-version-conflict": "The Hugging Face packages do not fit each other.",
        "flash-attn-mismatch": "flash-attn was built for another torch.",
        "fp16-nan-gtx16xx": "NaN from half precision on GTX 16xx.",
        "fp16-nan-vae": "NaN from a VAE in half precision.",
        "mps-fp16": "Half precision fails on this MPS backend.",
        "mps-os-too-old": "macOS is older than the MPS backend needs.",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch/issues/157517",
        "github.com/facebookresearch/xformers",
        "docs.nvidia.com/cuda/cuda-toolkit-release-notes",
    ),
)
