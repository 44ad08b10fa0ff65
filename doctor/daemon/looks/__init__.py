"""What the daemon looks for, one file each. ``make_looks`` lists them; ``doctor.daemon.kinds`` explains what they see."""

from __future__ import annotations

from doctor.daemon.looks.cards import LostCards, VideoMemory
from doctor.daemon.looks.disks import FullDisks
from doctor.daemon.looks.driver_files import DriverFiles
from doctor.daemon.looks.growth import Growth
from doctor.daemon.looks.killed import Killed
from doctor.daemon.looks.verdicts import Verdicts
from doctor.daemon.sighting import Look


def make_looks() -> tuple[Look, ...]:
    """All of them, new: several remember what they saw."""
    return (Verdicts(), VideoMemory(), LostCards(), DriverFiles(), Killed(), Growth(), FullDisks())
