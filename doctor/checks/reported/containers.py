"""Error lines of containers that were not given the card."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, has_vendor, only_amd
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy

_NVIDIA = Remedy(
    "Install the NVIDIA Container Toolkit on the host, tell Docker about it, and start the container with "
    "--gpus all.",
    (
        "sudo apt install nvidia-container-toolkit   # or dnf, zypper",
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
        "docker run --rm --gpus all ubuntu nvidia-smi",
    ),
)
_AMD = Remedy(
    "Pass both device folders into the container, on a host whose amdgpu driver is loaded.",
    ("docker run --device=/dev/kfd --device=/dev/dri --group-add video --group-add render IMAGE",),
)
_DESKTOP = Remedy(
    "Docker Desktop passes a card only with the WSL 2 backend and a current NVIDIA driver of Windows; "
    "start the "
    "container with --gpus all. The NVIDIA Container Toolkit is part of it.",
    ("docker run --rm --gpus all ubuntu nvidia-smi",),
)

_IMPLIES = ("no-driver", "no-cuda-gpus", "libcuda-missing")


def _run(facts: Facts) -> Iterator[Finding]:
    said = facts.message("docker-no-gpu")
    if said is None and facts.host.container and not only_amd(facts) and not facts.message("nvml-mismatch"):
        said = next((one for kind in _IMPLIES if (one := facts.message(kind))), None)
    if said is not None:
        yield _no_gpu(facts, said)


def _no_gpu(facts: Facts, said: Message) -> Finding:
    amd = "/dev/kfd" in said.text or (only_amd(facts) and "nvidia" not in said.text.lower())
    desktop = facts.host.os == "Windows" or bool(facts.host.wsl)
    return finding_of(
        "docker-no-gpu",
        said,
        "The container gets no GPU.",
        "A container sees a card only if its runtime passes it in: the host's driver alone is not enough."
        + (
            ""
            if amd
            else " Docker lacks the NVIDIA Container Toolkit, or the container was started without --gpus."
        ),
        _AMD if amd else _DESKTOP if desktop else _NVIDIA,
    )


_RULES = (
    Rule(kind="kfd-missing", id="docker-no-gpu", title="/dev/kfd is missing: the container gets no AMD "
         "card.",
         cause="ROCm computes through /dev/kfd. It is there only where the amdgpu driver is loaded and "
              "the device was "
         "passed in.", remedy=_AMD, applies=lambda facts: not has_vendor(facts, "nvidia")),
    Rule(kind="nvml-unknown", id="container-lost-gpu", title="The container lost the card that it had.",
         cause="When systemd reloads, it rewrites the container's list of devices and the card drops out. "
         "A restart brings it back until the next time.",
         remedy=Remedy("Restart the container; to end it, pass the devices by name or through CDI.",
                       ("docker run --gpus all --device=/dev/nvidiactl --device=/dev/nvidia0 "
                        "--device=/dev/nvidia-uvm IMAGE",))),
)  # fmt: skip

CHECK = check_of(
    "containers",
    "Do the error lines say that a container has no card?",
    {
        "docker-no-gpu": "The container was not given a card (toolkit, --gpus, /dev/kfd).",
        "container-lost-gpu": "The container lost its card while it ran.",
    },
    (
        "github.com/AbdBarho/stable-diffusion-webui-docker/issues/474",
        "github.com/NVIDIA/nvidia-container-toolkit/issues/48",
        "rocm.docs.amd.com/projects/install-on-linux (Docker)",
    ),
    rules=_RULES,
    run=_run,
)
