"""Put together what the readers of one kind of line each found in a pasted text."""

from __future__ import annotations

from doctor.facts import Facts, Unread
from doctor.reports.cards import cards_in
from doctor.reports.cleaning import clean
from doctor.reports.messages import messages_in
from doctor.reports.software import build_is_known, software_in


def read_text(content: bytes) -> Facts:
    """The facts that a pasted text holds; everything else is listed as unread.

    Raises ValueError for a text that holds none: silence about it would look like a clean bill of health.
    """
    lines = clean(content)
    software = software_in(lines)
    gpus = cards_in(lines)
    messages = messages_in(lines)
    named = (
        software.torch,
        software.packages,
        software.python.version,
        software.driver.version,
        software.host.os,
    )
    if not (any(named) or gpus or messages):
        raise ValueError("it names no version, no card and no error that sdoctor knows")
    absent = ["packages.accelerate"]
    if software.torch is None:
        absent.append("torch")
    elif not build_is_known(lines, software.torch):
        absent += ["torch.cuda", "torch.hip"]
    absent += ["cpu", "memory", "disks", "environment"]
    absent += ["gpus"] if not gpus else []
    return Facts(
        host=software.host,
        driver=software.driver,
        python=software.python,
        torch=software.torch,
        packages=software.packages or None,
        gpus=gpus or None,
        messages=messages,
        read_from=software.contributed,
        unread=tuple(Unread(what=what, why="the report does not say") for what in absent),
    )
