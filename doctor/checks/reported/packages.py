"""Error lines of packages that do not fit torch, NumPy or one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of
from doctor.compat import release
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import ROCM_INDEX, TORCH_INDEX, pip_of


def _install(text: str, *requirements: str) -> Callable[[Facts, Message], Remedy]:
    return lambda facts, _message: Remedy(
        text, tuple(f"{pip_of(facts)} install {one}" for one in requirements)
    )


def index_of(facts: Facts) -> str:
    """The index that the installed torch came from, as pip's option; "" if the report does not tell."""
    torch = facts.torch
    if torch and torch.cuda:
        return f" --index-url {TORCH_INDEX}/cu{torch.cuda.replace('.', '')}"
    if torch and torch.hip:
        return f" --index-url {ROCM_INDEX}"
    return ""


def fitting_torchvision(torch: str | None) -> str | None:
    """The torchvision minor release that belongs to a torch: 0.(N+15) to 2.N, 0.(N+1) to 1.N
    (github.com/pytorch/vision, README)."""
    numbers = release(torch)
    if numbers is None or len(numbers) < 2 or numbers[0] not in (1, 2):
        return None
    return f"0.{numbers[1] + (15 if numbers[0] == 2 else 1)}"


def _run(facts: Facts) -> Iterator[Finding]:
    said = facts.message("torchvision")
    vision = facts.package("torchvision")
    torch = facts.torch.version if facts.torch else None
    fitting = fitting_torchvision(torch)
    released = "dev" not in f"{torch}{vision.version if vision else ''}" and "a0" not in f"{torch}"
    apart = bool(vision and fitting and released and not f"{vision.version}.".startswith(f"{fitting}."))
    if not (said or apart):
        return
    yield finding_of(
        "torchvision-mismatch",
        said,
        f"torchvision {vision.version + ' ' if vision else ''}does not belong to the installed torch"
        + (f" {torch}." if torch else "."),
        "Its compiled operators load only beside the torch that they were built with"
        + (f", which takes torchvision {fitting}." if fitting else ". One of the two was replaced alone."),
        Remedy(
            "Install the pair together, from one index.",
            (
                f"{pip_of(facts)} uninstall -y torch torchvision torchaudio",
                f"{pip_of(facts)} install torch torchvision torchaudio{index_of(facts)}",
            ),
        ),
        evidence={
            "torch.version": torch,
            "torchvision": vision.version if vision else None,
            "fitting": fitting,
        },
    )


def _api(facts: Facts, _message: Message) -> Remedy:
    return Remedy(
        "Update the package that fails; if it is no longer maintained, change the one line to 'from "
        "torchvision.transforms.functional import ...'.",
        (f"{pip_of(facts)} install --upgrade basicsr",),
    )


def _attribute(facts: Facts, message: Message) -> str:
    name = message.values.get("name") or f"version {message.values.get('wanted', 'of late')}"
    have = f" {facts.torch.version}" if facts.torch and facts.torch.version else ""
    return f"The installed torch{have} does not have {name}, which another package needs."


_RULES = (
    Rule(kind="numpy-abi", id="numpy-abi", title="torch or another package was built for another NumPy.",
         cause="NumPy 2 changed its binary interface. Modules compiled for NumPy 1 cannot use it, and "
              "torch before 2.3 is one.",
         remedy=_install("Go back to NumPy 1 (numpy<2), or upgrade torch to 2.3 or newer.", '"numpy<2"')),
    Rule(kind="numpy-alias", id="numpy-name-removed",
         title=lambda _facts, message: f"A package uses numpy.{message.values.get('name', '')}, which "
              f"NumPy no longer has.",
         cause="NumPy 1.24 and 2.0 took old names out. The package was written before.",
         remedy=_install("Update that package, or go back.", '"numpy<1.24"')),
    Rule(kind="torchaudio", id="torchaudio-mismatch", title="torchaudio does not belong to the installed "
         "torch.",
         cause="Its library loads only beside the torch that it was built with. One of the two was "
              "replaced alone.",
         remedy=lambda facts, _message: Remedy("Install them together, from one index.", (
             f"{pip_of(facts)} install --force-reinstall torch torchvision torchaudio{index_of(facts)}",))),
    Rule(kind="functional-tensor", id="torchvision-name-removed",
         title="A package imports torchvision.transforms.functional_tensor, which torchvision 0.17 took "
              "out.",
         cause="basicsr 1.4.2, GFPGAN and what builds on them were written before. torchvision itself is "
              "in order.", remedy=_api),
    Rule(kind="bitsandbytes", id="bnb-cuda-missing", title="bitsandbytes has no binary for this CUDA "
         "version or GPU.",
         cause="It carries one library per CUDA version and takes the one of torch's CUDA; for others, "
              "and without CUDA, it falls "
         "back to a CPU library. Old versions are for CUDA 11 and newer cards only.",
         remedy=_install("Update bitsandbytes, use a torch with CUDA 11.8 or newer, and unset "
              "BNB_CUDA_VERSION.",
                         "--upgrade bitsandbytes")),
    Rule(kind="torch-attribute", id="torch-too-old", title=_attribute,
         cause="diffusers, transformers or an extension was upgraded and asks for a newer torch. Or a "
              "file named torch.py lies in "
         "the program's folder.",
         remedy=lambda facts, _message: Remedy("Upgrade torch, with torchvision, from the index it came "
              "from.", (
             f"{pip_of(facts)} install --upgrade torch torchvision{index_of(facts)}",))),
    Rule(kind="no-torch", id="torch-missing", title="torch is not installed for the Python that runs the "
         "program.",
         cause="It was not installed, or into another Python. A virtual environment that is not active "
              "does this.",
         remedy=lambda facts, _message: Remedy("Install it with the program's own Python.", (
             f"{pip_of(facts)} install torch torchvision",))),
    Rule(kind="transformers-torch", id="torch-missing", title="transformers finds no usable torch.",
         cause="torch is not installed for this Python, or is older than transformers accepts and is then "
              "ignored.",
         remedy=_install("Install or upgrade it.", "--upgrade torch torchvision")),
    Rule(kind="accelerate-missing", id="accelerate-missing", title="accelerate is missing or too old.",
         cause="Offloading to main memory and loading without a second copy need it. diffusers does not "
              "install it by itself.",
         remedy=_install("Install it.", "--upgrade accelerate")),
    Rule(kind="peft-missing", id="peft-missing", title="peft is missing: LoRA files cannot be loaded.",
         cause="diffusers loads LoRA weights through peft. It is not installed with diffusers.",
         remedy=_install("Install it.", '"peft>=0.17"')),
    Rule(kind="sentencepiece", id="tokenizer-missing", title="A package for T5's tokenizer is missing "
         "(sentencepiece, protobuf).",
         cause="The T5 text encoder of SD 3 and FLUX needs them. transformers does not install them by "
              "itself.",
         remedy=_install("Install them and restart.", "sentencepiece protobuf tiktoken")),
    Rule(kind="protobuf", id="protobuf-version", title="protobuf is newer than a package's generated code.",
         cause="Code generated before protobuf 4 is refused. The package that fails is older than your "
              "protobuf.",
         remedy=_install("Go back, or update the package that fails.", '"protobuf>=3.20.3,<4"')),
    Rule(kind="onnx-provider", id="onnx-cuda-missing", title="onnxruntime cannot use CUDA.",
         cause="The package onnxruntime is for the processor, and with onnxruntime-gpu beside it the "
              "wrong one loads. "
         "Its CUDA and cuDNN versions must fit too.", severity=Severity.WARNING,
         remedy=lambda facts, _message: Remedy("Keep only the GPU package.", (
             f"{pip_of(facts)} uninstall -y onnxruntime onnxruntime-gpu", f"{pip_of(facts)} install "
                  f"onnxruntime-gpu"))),
    Rule(kind="gradio-api", id="ui-package-conflict", title="gradio is of another version than the web UI "
         "was written for.",
         cause="An extension or an update replaced it. Web UIs pin one version.",
         remedy=Remedy("Let the web UI reinstall its requirements: delete the folder venv and start "
              "again.")),
    Rule(kind="pydantic", id="ui-package-conflict", title="pydantic is of another version than the web UI "
         "was written for.",
         cause="pydantic 2 changed its interface. The web UI or its fastapi wants the older one.",
         remedy=_install("Install the version that the web UI "
              "pins.", '"pydantic<2" "albumentations==1.4.3"')),
    Rule(kind="lightning", id="ui-package-conflict", title="pytorch-lightning is newer than the web UI "
         "was written for.",
         cause="Version 2 moved the module. An extension or an update replaced it.",
         remedy=_install("Install the older one.", '"pytorch-lightning==1.9.4"')),
    Rule(kind="clip-build", id="setuptools-too-new", title="A package's build needs pkg_resources, which "
         "a new setuptools no longer has.",
         cause="setuptools took it out with version 82. CLIP and other old packages import it while they "
              "are installed.",
         remedy=_install("Install an older setuptools and try again without build "
              "isolation.", '"setuptools<82" wheel')),
    Rule(kind="opencv", id="opencv-conflict", title="Several opencv packages overwrite one another.",
         cause="opencv-python, its headless and its contrib variant share one folder. Two of them leave a "
              "mixture.",
         remedy=lambda facts, _message: Remedy("Keep one.", (
             f"{pip_of(facts)} uninstall -y opencv-python opencv-python-headless opencv-contrib-python",
             f"{pip_of(facts)} install opencv-python-headless"))),
)  # fmt: skip

CHECK = check_of(
    "packages",
    "Do the error lines blame packages that do not fit torch or NumPy?",
    {
        "torchvision-mismatch": "torchvision does not belong to the installed torch.",
        "numpy-abi": "torch or another package was built for another NumPy.",
        "numpy-name-removed": "A package uses a name that NumPy took out.",
        "torchaudio-mismatch": "torchaudio does not belong to the installed torch.",
        "torchvision-name-removed": "A package imports a module that torchvision took out.",
        "bnb-cuda-missing": "bitsandbytes has no binary for this CUDA version or GPU.",
        "torch-too-old": "Another package needs a newer torch.",
        "torch-missing": "torch is not there for the Python that runs the program.",
        "accelerate-missing": "accelerate is missing or too old.",
        "peft-missing": "peft is missing, so LoRA files cannot be loaded.",
        "tokenizer-missing": "sentencepiece or protobuf is missing.",
        "protobuf-version": "protobuf is newer than a package's generated code.",
        "onnx-cuda-missing": "onnxruntime cannot use CUDA.",
        "ui-package-conflict": "gradio, pydantic or lightning is of another version than the web UI wants.",
        "setuptools-too-new": "A build needs a module that setuptools took out.",
        "opencv-conflict": "Several opencv packages overwrite one another.",
    },
    (
        "github.com/Comfy-Org/ComfyUI/issues/5289",
        "github.com/huggingface/diffusers/issues/9109",
        "github.com/bitsandbytes-foundation/bitsandbytes/issues/1522",
        "github.com/huggingface/transformers/issues/25753",
        "github.com/XPixelGroup/BasicSR/issues/711",
        "github.com/pypa/setuptools (NEWS.rst, v82.0.0)",
    ),
    rules=_RULES,
    run=_run,
)
