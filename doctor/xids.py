"""What the Xid codes of the NVIDIA driver mean, and whose fault they are.

Source: docs.nvidia.com/deploy/xid-errors; which codes are harmless by themselves: facebookresearch/gcm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """Whose fault a code is, as far as the code alone tells."""

    PROGRAM = "program"
    """A program's own error; by itself no fault of the card."""
    CARD = "card"
    """The card, its power, its slot or its memory."""
    DRIVER = "driver"
    """The driver or the card's own controller; a restart and an update of the driver are the first things to try."""


@dataclass(frozen=True, slots=True)
class XidMeaning:
    """One code."""

    code: int
    fault: Fault
    words: str


XIDS = (
    XidMeaning(8, Fault.PROGRAM, "a program stopped getting answers from the card"),
    XidMeaning(
        13, Fault.PROGRAM, "an error in the computing engine: a program's defect, or an overclocked card"
    ),
    XidMeaning(31, Fault.PROGRAM, "a program touched memory that is not its own"),
    XidMeaning(32, Fault.CARD, "corrupt commands arrived: bad signals on the PCIe slot or riser"),
    XidMeaning(43, Fault.PROGRAM, "a program stopped with an error"),
    XidMeaning(45, Fault.PROGRAM, "a program was ended, often after another error"),
    XidMeaning(46, Fault.DRIVER, "the card stopped answering in time"),
    XidMeaning(48, Fault.CARD, "memory errors that could not be corrected"),
    XidMeaning(54, Fault.CARD, "the power cable is not connected well"),
    XidMeaning(61, Fault.DRIVER, "an error in the card's own controller"),
    XidMeaning(62, Fault.DRIVER, "the card's own controller stopped"),
    XidMeaning(63, Fault.PROGRAM, "a row of bad memory was replaced, as intended"),
    XidMeaning(64, Fault.CARD, "a row of bad memory could not be replaced"),
    XidMeaning(69, Fault.PROGRAM, "an error in the computing engine: a command that it does not know"),
    XidMeaning(74, Fault.CARD, "an error on NVLink"),
    XidMeaning(79, Fault.CARD, "the card fell off the bus"),
    XidMeaning(92, Fault.PROGRAM, "many corrected memory errors"),
    XidMeaning(94, Fault.CARD, "memory errors that hit one program"),
    XidMeaning(95, Fault.CARD, "memory errors that may have hit several programs"),
    XidMeaning(109, Fault.PROGRAM, "a switch between programs took too long"),
    XidMeaning(119, Fault.DRIVER, "the card's controller (GSP) did not answer in time"),
    XidMeaning(120, Fault.DRIVER, "the card's controller (GSP) reported an error"),
    XidMeaning(140, Fault.CARD, "memory errors that were not recovered from"),
    XidMeaning(143, Fault.DRIVER, "the card could not be started"),
    XidMeaning(154, Fault.CARD, "the driver asks for the card to be reset"),
)


def meaning_of(code: int) -> XidMeaning:
    """What is known of a code; of one that is not listed only that the driver logged it."""
    return next(
        (one for one in XIDS if one.code == code), XidMeaning(code, Fault.DRIVER, "a fault that NVIDIA lists")
    )
