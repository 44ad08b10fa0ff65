"""Error lines about the NVIDIA driver."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, is_windows, only_amd
from doctor.compat import OLDEST_CAPABILITY, driver_at_least, driver_floor
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy
from doctor.remedies import driver_update, torch_for_driver, unset_variable

_CURRENT = "580.65.06"
_LAST_OF = {(3, 0): "470", (3, 5): "470", (3, 7): "470", (2, 1): "390", (2, 0): "390"}
"""Last driver branch of Kepler and Fermi (nvidia.custhelp.com/app/answers/detail/a_id/3473, 5202)."""


def _run(facts: Facts) -> Iterator[Finding]:
    yield from _age(facts)
    yield from _absent(facts)


def _age(facts: Facts) -> Iterator[Finding]:
    message = facts.message("driver-too-old")
    old = next((g for g in facts.gpus or () if g.capability and g.capability < OLDEST_CAPABILITY), None)
    floor = _floor(facts)
    works = facts.message("cuda-works") is not None
    below = (
        not works and floor and facts.driver.version and driver_at_least(facts.driver.version, floor) is False
    )
    if (message or below) and old and old.capability:
        branch = _LAST_OF.get(old.capability, "470")
        yield finding_of(
            "gpu-too-old",
            message,
            f"{old.name} (compute capability {old.capability[0]}.{old.capability[1]}) is too old for "
            f"every current "
            "torch build.",
            f"Its last driver branch is {branch}, which serves no CUDA that torch is built with now. A "
            f"newer driver "
            "for this card does not exist.",
            Remedy("Compute on the processor, or use a newer card."),
        )
        return
    if not (message or below):
        return
    yield finding_of(
        "driver-too-old",
        message,
        f"The NVIDIA driver {_version(facts, message)}is too old for this torch"
        + (f" (CUDA {facts.torch.cuda})." if facts.torch and facts.torch.cuda else "."),
        "torch was built with a newer CUDA than the driver serves. Either side can be changed.",
        _update_or_older(facts, floor or "525.60.13"),
        evidence={"driver.version": facts.driver.version, "oldest driver": floor},
    )


def _floor(facts: Facts) -> str | None:
    cuda = facts.torch.cuda if facts.torch else None
    windows = "Windows" if facts.host.wsl else facts.host.os
    return driver_floor(cuda, windows) if cuda else None


def _version(facts: Facts, message: Message | None) -> str:
    if facts.driver.version:
        return f"{facts.driver.version} "
    number = message.values.get("cuda", "") if message else ""
    # cuDriverGetVersion: 1000 * major + 10 * minor (CUDA driver API).
    if not number.isdecimal():
        return ""
    return f"(which serves CUDA {int(number) // 1000}.{int(number) % 1000 // 10}) "


def _update_or_older(facts: Facts, floor: str) -> Remedy:
    update = driver_update(facts, floor)
    if facts.driver.version is None:
        return update
    instead = torch_for_driver(facts, facts.gpus or ())
    if instead is None or not instead.commands:
        return update
    return Remedy(
        f"{update.text} Or keep the driver and take an older CUDA. {instead.text}",
        (*update.commands, *instead.commands),
    )


def _absent(facts: Facts) -> Iterator[Finding]:
    """No driver: unless something that was said explains it better."""
    better = ("docker-no-gpu", "nvml-mismatch", "visible-devices", "nouveau", "secure-boot", "driver-too-old",
              "wsl1", "wsl-driver")  # fmt: skip
    said = facts.message("no-driver") or facts.message("no-cuda-gpus")
    if said is None and not facts.host.wsl and not facts.host.container:
        said = facts.message("libcuda-missing")
    if said is None or only_amd(facts) or any(facts.message(kind) for kind in better):
        return
    if facts.host.container or (facts.host.wsl and facts.message("libcuda-missing")):
        return  # the checks of containers and of WSL say it
    if said.kind == "no-driver" and _answers(facts) and "smi" in said.text.lower():
        return
    yield finding_of(
        "no-driver",
        said,
        "No NVIDIA driver or card is visible to this system.",
        "The driver is not installed, its kernel module is not loaded, or the card was not passed to the "
        "container, "
        "virtual machine or job. torch itself may be right.",
        driver_update(facts, _CURRENT),
    )


def _answers(facts: Facts) -> bool:
    return facts.driver.version is not None and facts.message("cuda-unavailable") is None


def _mismatch(facts: Facts, _message: Message) -> Remedy:
    if facts.host.container:
        return Remedy(
            "Reboot the host. If the image brings driver libraries of its own (libnvidia-*, libcuda), "
            "remove them: "
            "they shadow the host's."
        )
    return Remedy(
        "Restart (reboot) the machine, or unload and reload the kernel modules when nothing uses the card.",
        ("sudo reboot",),
    )


def _visible(facts: Facts, _message: Message) -> Remedy:
    return Remedy(
        "Take the variable away, or name a card that exists.", unset_variable(facts, "CUDA_VISIBLE_DEVICES")
    )


_RULES = (
    Rule(kind="nvml-mismatch", id="nvml-mismatch",
         title="The NVIDIA kernel module and the driver's libraries have different versions.",
         cause="The driver was updated while its old kernel module stayed loaded. Until a restart nothing "
              "can use CUDA.",
         remedy=_mismatch),
    Rule(kind="nouveau", id="no-driver", title="The card is driven by nouveau, which has no CUDA.",
         cause="nouveau is the kernel's own driver for NVIDIA cards. While it holds the card, NVIDIA's "
              "driver cannot load.",
         remedy=lambda facts, _message: driver_update(facts, _CURRENT)),
    Rule(kind="secure-boot", id="secure-boot", title="Secure Boot refuses the NVIDIA kernel module: it is "
         "not signed.",
         cause="The firmware loads only modules that are signed with a key it knows. The module that DKMS "
              "built is not.",
         remedy=Remedy("Enrol the key that DKMS signs with (asked for at the next start), or switch "
              "Secure Boot off.",
                       ("sudo mokutil --import /var/lib/shim-signed/mok/MOK.der", "sudo reboot"))),
    Rule(kind="visible-devices", id="cuda-visible-devices",
         title="CUDA_VISIBLE_DEVICES or a device number names a card that does not exist.",
         cause="CUDA stops reading the variable at the first entry that names no card. torch then sees "
              "fewer cards or none.",
         remedy=_visible),
    Rule(kind="mig", id="mig-no-instance", title="The card is in MIG mode and has no instance to compute "
         "on.",
         cause="With MIG on, CUDA uses slices of the card, and none was created. The whole card is not "
              "offered then.",
         remedy=Remedy("Create an instance, or switch MIG off (needs an idle card).",
                       ("sudo nvidia-smi mig -cgi 19 -C", "sudo nvidia-smi -mig 0"))),
    Rule(kind="gpu-lost", id="gpu-lost", title="The card fell off the bus while it worked.",
         cause="It stopped answering: power supply, cable, riser, seat in the slot or heat, seldom the "
              "driver.",
         remedy=lambda facts, _message: Remedy(
             "Restart, check power cables and seat, and look at the log for 'Xid 79'.",
             () if is_windows(facts) else ("sudo dmesg | grep -i xid",))),
    Rule(kind="cuda-unknown", id="cuda-unknown-error", title="CUDA does not start: 'unknown error'.",
         cause="The driver answers but its memory module (nvidia_uvm) does not; suspending the machine "
              "does this. "
         "A variable that is changed after the program started can do it too.",
         remedy=lambda facts, _message: Remedy("Restart the machine.") if is_windows(facts) else Remedy(
             "Reload the module, or restart the machine.",
             ("sudo rmmod nvidia_uvm", "sudo modprobe nvidia_uvm"))),
)  # fmt: skip

CHECK = check_of(
    "driver",
    "Do the error lines blame the NVIDIA driver?",
    {
        "driver-too-old": "The driver is older than torch's CUDA needs.",
        "gpu-too-old": "The card is so old that no driver serves a current CUDA on it.",
        "no-driver": "No NVIDIA driver or card is visible to the system.",
        "nvml-mismatch": "Kernel module and libraries of the driver differ.",
        "secure-boot": "Secure Boot refuses the kernel module.",
        "cuda-visible-devices": "A variable or a device number names a card that is not there.",
        "mig-no-instance": "The card is in MIG mode without an instance.",
        "gpu-lost": "The card stopped answering on the bus.",
        "cuda-unknown-error": "CUDA does not start with 'unknown error'.",
    },
    (
        "github.com/lllyasviel/Fooocus/issues/1313",
        "github.com/pytorch/pytorch/issues/45109",
        "github.com/pytorch/pytorch/issues/49081",
        "docs.nvidia.com/deploy/cuda-compatibility",
        "docs.nvidia.com/datacenter/tesla/mig-user-guide",
    ),
    rules=_RULES,
    run=_run,
)
