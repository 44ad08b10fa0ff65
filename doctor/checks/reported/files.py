"""Error lines about model files."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of
from doctor.finding import Remedy, Severity
from doctor.remedies import pip_install

_RULES = (
    Rule(kind="file-pointer", id="lfs-pointer", title="A model file is only a Git LFS pointer of some "
         "hundred bytes.",
         cause="git cloned the repository without LFS. The weights themselves were not downloaded.",
         remedy=Remedy("Fetch them.", ("git lfs install", "git lfs pull"))),
    Rule(kind="file-corrupt", id="file-corrupt", title="A model file is damaged or was not downloaded to "
         "its end.",
         cause="The header or the end of the file is missing. A broken download, or a web page saved "
              "under the file's name, looks so.",
         remedy=Remedy("Delete the file and download it again; compare its size and sha256 with its page.",
                       ("hf cache verify REPOSITORY",))),
    Rule(kind="weights-only", id="weights-only", title="torch.load refuses a file that holds more than "
         "weights.",
         cause="Since torch 2.6 it loads plain weights only, unless told otherwise. Old checkpoints and "
              "pickled objects are more.",
         remedy=Remedy("Use a .safetensors file of the model, or update the program; weights_only=False "
              "only for files that you trust.")),
    Rule(kind="torch-load-cve", id="torch-load-blocked", title="transformers refuses torch.load with a "
         "torch before 2.6.",
         cause="torch.load had a security hole (CVE-2025-32434) until then. Files in safetensors format "
              "are not concerned.",
         remedy=Remedy("Upgrade torch to 2.6 or newer, or use safetensors "
              "files.", (pip_install("torch", "torchvision"),))),
    Rule(kind="wrong-model", id="model-kind-mismatch", title="A file belongs to another kind of model "
         "than it was loaded as.",
         cause="A LoRA, ControlNet, VAE or text encoder of one family (SD 1.5, SDXL, FLUX) does not fit "
              "another. The shapes differ.",
         remedy=Remedy("Use files of one family together; update the program for newer families.")),
    Rule(kind="no-checkpoint", id="checkpoint-missing", title="The program finds no model "
         "file.", severity=Severity.WARNING,
         cause="The folder is empty or another one is looked at. A workflow may name a file that you do "
              "not have.",
         remedy=Remedy("Put the file into the folder that the message names, or choose one that is "
              "there.")),
)  # fmt: skip

CHECK = check_of(
    "files",
    "Do the error lines blame a model file?",
    {
        "lfs-pointer": "A model file is only a Git LFS pointer.",
        "file-corrupt": "A model file is damaged or incomplete.",
        "weights-only": "torch.load refuses a file that holds more than weights.",
        "torch-load-blocked": "transformers refuses torch.load with a torch before 2.6.",
        "model-kind-mismatch": "A file belongs to another kind of model.",
        "checkpoint-missing": "The program finds no model file.",
    },
    (
        "github.com/huggingface/safetensors",
        "docs.pytorch.org/docs/stable/generated/torch.load.html",
        "github.com/advisories/GHSA-53q9-r3pm-6pq6",
    ),
    rules=_RULES,
)
