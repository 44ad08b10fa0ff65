"""Does the NVIDIA driver answer?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, FactUnread
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import driver_update

_CURRENT_BRANCH = "580.65.06"


def run(facts: Facts) -> Iterator[Finding]:
    """A card without a working driver, from the most telling fact to the least."""
    driver = facts.driver
    lost = {miss.what: miss.why for miss in facts.unread if "gpu is lost" in miss.why.lower()}
    if lost:
        yield _lost(lost)
    if driver.error is not None:
        yield _nvml_failed(facts, driver.error)
    elif driver.pci_devices and not facts.gpus:
        if driver.library_found is None:
            raise FactUnread("driver.library_found")
        if not driver.library_found:
            yield _not_installed(facts)


def _nvml_failed(facts: Facts, error: str) -> Finding:
    words = error.lower()
    if "mismatch" in words:
        return _mismatch(facts)
    if "not loaded" in words:
        return _not_loaded(facts)
    remedy = Remedy(
        "Restart the machine. If it comes back, look for 'Xid' in the kernel log.",
        ("sudo dmesg | grep -i xid",),
    )
    cause = "The driver is installed but could not be asked. A lost card or a hung driver does this."
    if facts.host.container:
        cause = (
            "Inside a container this means that the card's device files are missing or were taken away again."
        )
        remedy = Remedy(
            "Restart the container with access to the card.",
            ("docker run --rm --gpus all ubuntu nvidia-smi",),
        )
    return Finding(
        id="driver-error",
        severity=Severity.ERROR,
        title=f"The NVIDIA driver does not work: {error.rstrip('.')}.",
        evidence=_evidence(facts),
        cause=cause,
        remedy=remedy,
    )


def _lost(reasons: dict[str, str]) -> Finding:
    cards = sorted({what.partition(".")[0] for what in reasons})
    return Finding(
        id="gpu-lost",
        severity=Severity.ERROR,
        title=f"The driver lost a card while it was asked ({', '.join(cards)}).",
        evidence={"unread": reasons},
        cause="The card stopped answering on the bus: power supply, slot, riser cable or heat, seldom the "
        "driver.",
        remedy=Remedy(
            "Restart the machine, check power cables and seat of the card, and look for 'Xid 79' in the "
            "kernel log.",
            ("sudo dmesg | grep -i xid",),
        ),
    )


def _mismatch(facts: Facts) -> Finding:
    if facts.host.container:
        remedy = Remedy(
            "Remove driver libraries from the image (they shadow those of the host) or restart the host."
        )
    else:
        remedy = Remedy("Restart the machine, so that the new kernel module is loaded.", ("sudo reboot",))
    return Finding(
        id="nvml-mismatch",
        severity=Severity.ERROR,
        title="The NVIDIA kernel module and the driver's libraries have different versions.",
        evidence=_evidence(facts),
        cause="The driver was updated while its old kernel module stayed loaded; until a restart, CUDA does "
        "not start.",
        remedy=remedy,
    )


def _not_loaded(facts: Facts) -> Finding:
    if facts.driver.nouveau_loaded:
        return _nouveau(facts)
    return Finding(
        id="no-driver",
        severity=Severity.ERROR,
        title="The NVIDIA driver is installed, but its kernel module is not loaded.",
        evidence=_evidence(facts),
        cause="Often the module was not built for a new kernel, or Secure Boot refuses it because it is not "
        "signed.",
        remedy=Remedy(
            "Build and load the module; the last command shows whether Secure Boot is on.",
            ("sudo dkms autoinstall", "sudo modprobe nvidia", "mokutil --sb-state"),
        ),
    )


def _not_installed(facts: Facts) -> Finding:
    if facts.host.container:
        return Finding(
            id="docker-no-gpu",
            severity=Severity.ERROR,
            title="This container was started without access to the NVIDIA card of its host.",
            evidence=_evidence(facts),
            cause="The card is on the bus, but the driver's libraries and device files were not passed in.",
            remedy=Remedy(
                "Install the NVIDIA Container Toolkit on the host and start the container with --gpus all.",
                (
                    "sudo nvidia-ctk runtime configure --runtime=docker",
                    "docker run --rm --gpus all ubuntu nvidia-smi",
                ),
            ),
        )
    if facts.driver.nouveau_loaded:
        return _nouveau(facts)
    return Finding(
        id="no-driver",
        severity=Severity.ERROR,
        title="An NVIDIA card is in this machine, but no NVIDIA driver is installed.",
        evidence=_evidence(facts),
        cause="CUDA needs NVIDIA's own driver; without it torch sees no card.",
        remedy=driver_update(facts, _CURRENT_BRANCH),
    )


def _nouveau(facts: Facts) -> Finding:
    install = driver_update(facts, _CURRENT_BRANCH)
    return Finding(
        id="no-driver",
        severity=Severity.ERROR,
        title="The card is driven by nouveau, which has no CUDA.",
        evidence=_evidence(facts),
        cause="nouveau is the kernel's own driver for NVIDIA cards; while it holds the card, NVIDIA's "
        "cannot be loaded.",
        remedy=Remedy(
            f"{install.text} Its installation puts nouveau on the list of modules not to load.",
            install.commands,
        ),
    )


def _evidence(facts: Facts) -> dict[str, object]:
    driver = facts.driver
    found = {
        "driver.error": driver.error,
        "driver.kernel_module_version": driver.kernel_module_version,
        "driver.library_found": driver.library_found,
        "driver.pci_devices": driver.pci_devices,
        "driver.nouveau_loaded": driver.nouveau_loaded,
        "host.container": facts.host.container,
    }
    return {name: value for name, value in found.items() if value is not None and value != ""}


CHECK = Check(
    name="driver",
    title="Does the NVIDIA driver answer?",
    needs=("driver.library_found",),
    causes={
        "nvml-mismatch": "The NVIDIA kernel module and the driver's libraries have different versions.",
        "no-driver": "An NVIDIA card without a loaded NVIDIA driver (not installed, not loaded, or nouveau "
        "holds it).",
        "docker-no-gpu": "A container that was not given the card of its host.",
        "gpu-lost": "A card stopped answering while the driver was asked about it.",
        "driver-error": "The driver is there but fails or hangs when asked.",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch/issues/45109",
        "github.com/NVIDIA/nvidia-container-toolkit/issues/251",
        "github.com/NVIDIA/nvidia-container-toolkit/issues/48",
        "github.com/fady-saied/Nvidia-Fedora-Guide/issues/9",
        "github.com/NVIDIA/go-nvml (nvml.h, return codes)",
        "docs.nvidia.com/deploy/xid-errors (79: GPU has fallen off the bus)",
    ),
)
