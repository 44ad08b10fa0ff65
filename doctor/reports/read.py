"""Put together what the readers of one kind of line each found in a pasted text."""

from __future__ import annotations

import re
from dataclasses import replace

from doctor.facts import Facts, Gpu, Host, Message, Unread
from doctor.gather.redact import Redactor
from doctor.reports.cards import cards_in
from doctor.reports.cleaning import clean
from doctor.reports.host import host_in
from doctor.reports.messages import messages_in
from doctor.reports.repeats import few_of_a_kind
from doctor.reports.software import Software, formats_of, software_in

_NOBODY = Redactor("", "")
"""Takes out home folders, tokens and logins of anybody; whose report it is, is not known."""

_COMPOSED = re.compile(rb"^[ \t>]*[a-z][\w.-]{0,40}[-_]\d+\s+\| ", re.M)
"""What docker compose puts before each line: the container's name and a bar."""


def read_text(content: bytes) -> Facts:
    """The facts that a pasted text holds; everything else is listed as unread.

    Raises ValueError for a text that holds none: silence about it would look like a clean bill of health.
    """
    lines = clean(content)
    few = few_of_a_kind(lines)
    software, host, gpus = (
        software_in(few),
        host_in(few, composed=bool(_COMPOSED.search(content))),
        cards_in(lines),
    )
    messages = tuple(replace(one, text=_NOBODY.text(one.text)) for one in messages_in(lines))
    contributed = _contributed(software, host, gpus, messages)
    if not contributed:
        raise ValueError("it names no version, no card and no error that sdoctor knows")
    return Facts(
        host=host,
        driver=software.driver,
        python=software.python,
        torch=software.torch,
        packages=software.packages or None,
        gpus=gpus or None,
        messages=messages,
        read_from=dict.fromkeys(formats_of(few), contributed),
        unread=tuple(Unread(what=what, why="the report does not say") for what in _absent(software, gpus)),
    )


def _contributed(
    software: Software, host: Host, gpus: tuple[Gpu, ...], messages: tuple[Message, ...]
) -> tuple[str, ...]:
    found = {
        "torch": software.torch,
        "packages": software.packages,
        "python": software.python.version,
        "host": host.os,
        "driver": software.driver.version,
        "gpus": gpus,
        "messages": messages,
    }
    return tuple(name for name, value in found.items() if value)


def _absent(software: Software, gpus: tuple[Gpu, ...]) -> list[str]:
    absent = ["packages.accelerate"]
    if software.torch is None:
        absent.append("torch")
    elif not software.build_known:
        absent += ["torch.cuda", "torch.hip"]
    absent += ["cpu", "memory", "disks", "environment"]
    return absent if gpus else [*absent, "gpus"]
