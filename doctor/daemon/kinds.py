"""Kinds of incidents: what each means, in words for ``sdoctor incidents``."""

from __future__ import annotations

from doctor.incidents import OUT_OF_MEMORY

MACHINE_STOPPED = "machine-stopped"
DAEMON_KILLED = "daemon-killed"

KINDS: dict[str, str] = {
    "throttled-thermal": "The card was too hot and lowered its clock. Pictures take longer until it cools down.",
    "throttled-brake": "The card's power supply gave too little for a moment, and its emergency brake lowered the clock.",
    "memory-swap": "The machine moved memory to the disk and back while programs waited for it: everything becomes slow.",
    "memory-pressure": "Programs stood still while the kernel looked for free memory; the next step is swapping or killing.",
    "memory-spill": "The card's memory overflowed into the host's (Windows). Nothing fails, everything is slow.",
    "vram-pressure": "A card's memory was as good as full. The next allocation fails, or spills on Windows.",
    "gpu-lost": "A card that was there stopped answering its driver. Programs that used it have failed or hang.",
    "driver-mismatch": "The driver was updated while the old one was loaded. What runs goes on; new programs cannot use "
    "the card until the machine is restarted.",
    "memory-growth": "The least that a process holds rose and rose, whatever it gave back in between: that is what a leak "
    "looks like.",
    "oom-kill": "Memory ran out and the kernel killed a program to get some back. Which one is in the kernel's log; the "
    "name given here is the largest program that was gone.",
    "disk-full": "A disk that sdoctor or the model cache writes to was as good as full.",
    OUT_OF_MEMORY: "A generation did not get the memory that it asked for. With a profile, the next rung of the ladder "
    "was tried.",
    MACHINE_STOPPED: "The machine went down without shutting down: power, a reset, or a freeze. The figures are the last "
    "ones before.",
    DAEMON_KILLED: "The daemon ended without being asked to (killed, or a defect), and nothing was watched until it was "
    "started again.",
}


def meaning_of(kind: str) -> str:
    """What a kind means; of one that this sdoctor does not know only that."""
    return KINDS.get(kind, "This sdoctor does not know this kind of incident; a newer one wrote it down.")
