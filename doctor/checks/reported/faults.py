"""Error lines of a card or driver that failed while it computed."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of, is_windows
from doctor.facts import Facts, Message
from doctor.finding import Remedy
from doctor.remedies import set_variable
from doctor.xids import meaning_of


def _xid(_facts: Facts, message: Message) -> str:
    code = int(message.values["code"])
    return f"The driver logged Xid {code}: {meaning_of(code).words}."


def _log(text: str) -> Remedy:
    return Remedy(text, ("sudo dmesg | grep -i xid", "nvidia-smi -q -d ECC,TEMPERATURE,POWER"))


def _blocking(facts: Facts, _message: Message) -> Remedy:
    return Remedy(
        "Restart the program; take overclocking back, switch extensions (xformers, custom nodes) off one "
        "by one, and run once with "
        "CUDA_LAUNCH_BLOCKING=1, which names the operation.",
        set_variable(facts, "CUDA_LAUNCH_BLOCKING", "1"),
    )


_RULES = (
    Rule(kind="illegal-access", id="illegal-memory-access", title="A kernel touched memory that is not "
         "its own (illegal memory access).",
         cause="An extension's kernel, an unstable (overclocked, overheated) card or a defect of torch "
              "does this. The line in the "
         "traceback is seldom the guilty one.", remedy=_blocking),
    Rule(kind="device-assert", id="device-side-assert", title="A kernel stopped at a check: an index lies "
         "outside of its table.",
         cause="Input does not fit the model, such as a token or a class that it does not have. The card "
              "is in order.",
         remedy=_blocking),
    Rule(kind="launch-timeout", id="driver-timeout", title="Windows or the driver ended a kernel that "
         "took too long.",
         cause="A card that also draws the desktop must answer within two seconds. An overloaded or "
              "unstable card does not.",
         remedy=Remedy("Take overclocking back, make the picture or batch smaller, or raise TdrDelay and "
              "restart.", (
             "reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\GraphicsDrivers /v TdrDelay /t REG_DWORD "
             "/d 60 /f",))),
    Rule(kind="ecc-error", id="gpu-memory-errors", title="The card's memory has errors that could not be "
         "corrected.",
         cause="ECC found more wrong bits than it can mend. Results until then cannot be trusted.",
         remedy=_log("Restart the machine; if it comes back, the card is faulty.")),
    Rule(kind="xid", id="gpu-xid", title=_xid,
         cause="Xid lines in the kernel log are the driver's record of faults. Some are a program's "
              "fault, some the card's.",
         remedy=lambda facts, _message: Remedy("Restart the machine and update the "
              "driver.") if is_windows(facts)
         else _log("See whether it comes back after a restart, then check power, seat and heat of the "
              "card.")),
    Rule(kind="nccl", id="nccl-failed", title="Communication between several cards failed (NCCL).",
         cause="The cards cannot reach each other directly, or the network between machines fails.",
         remedy=lambda facts, _message: Remedy("Use one card, or switch direct access "
              "off.", set_variable(facts, "NCCL_P2P_DISABLE", "1"))),
)  # fmt: skip

CHECK = check_of(
    "faults",
    "Do the error lines say that the card or driver failed while it computed?",
    {
        "illegal-memory-access": "A kernel touched memory that is not its own.",
        "device-side-assert": "A kernel stopped at a check of its input.",
        "driver-timeout": "Windows or the driver ended a kernel that took too long.",
        "gpu-memory-errors": "The card's memory has uncorrectable errors.",
        "gpu-xid": "The driver logged a fault (Xid).",
        "nccl-failed": "Communication between several cards failed.",
    },
    (
        "docs.nvidia.com/deploy/xid-errors",
        "docs.pytorch.org/docs/stable/notes/cuda.html (CUDA_LAUNCH_BLOCKING)",
        "learn.microsoft.com/windows-hardware/drivers/display/timeout-detection-and-recovery",
    ),
    rules=_RULES,
)
