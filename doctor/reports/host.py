"""The system that a text comes from: Windows, Linux, macOS; WSL; a container."""

from __future__ import annotations

import re

from doctor.facts import Host

_NAMED = re.compile(
    r"^(?:OS|Operating System|Platform|Python platform|Os"
    r"|OS Version)\s*[:=]\s*(?P<name>.+)$",
    re.I,
)
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Windows", re.compile(
        r"win_amd64|win32\b|WinError|\b[A-Za-z]:\\|\bWindows[- ]1[01]|Microsoft Windows|Platform: Windows"
        r"|platform=Windows"
        r"|system=Windows|^OS: nt\b|\[MSC v\.|\.dll\b|\.pyd\b|\bon Windows\b|\(Windows\)|AppData"
        r"|PowerShell|webui-user\.bat")),
    ("Darwin", re.compile(
        r"\bmac ?OS\b|\bDarwin\b|\bMPS backend|\bApple (?:M\d|Silicon)|^M[1-5](?: (?:Pro|Max|Ultra))?$"
        r"|/Users/|/opt/homebrew"
        r"|macosx_\d|\bMacBook|\bMac (?:mini|Studio)|arm64-arm-64bit|MPS Tensor|MPSNDArray"
        r"|device for 'mps'", re.I)),
    ("Linux", re.compile(
        r"\bLinux\b|glibc|CentOS|Ubuntu|Debian|Fedora|Arch Linux|manylinux|x86_64-linux|/home/|/usr/lib"
        r"|/root/|/opt/conda"
        r"|\bapt(?:-get)? install|\.so[.\d]*\b|/workspace/|/content/")),
)  # fmt: skip
_WSL = re.compile(r"microsoft-standard|-Microsoft\b|\bWSL ?[12]?\b|/usr/lib/wsl|dxgkio|/mnt/[c-z]/")
_CONTAINER = re.compile(
    r"\bdocker\b(?!\s*=\s*False|=False)|docker-compose|nvidia-container|/\.dockerenv|OCI runtime"
    r"|\bpodman\b|\bkubernetes\b"
    r"|response from daemon|\bcontainer\b.{0,40}(?:start|run|image|launch)", re.I,
)  # fmt: skip
_MACHINE = re.compile(r"\b(x86_64|AMD64|aarch64|arm64)\b")
_MACOS = re.compile(
    r"\b(?:mac ?OS|Ventura|Sonoma|Sequoia|Monterey"
    r"|ProductVersion:?)[^\d\n]{0,16}(\d{2}(?:\.\d+){0,2})",
    re.I,
)
_DEMAND = re.compile(r"supported on|requires?|or newer|\d\+|at least|only available", re.I)


def host_in(lines: tuple[str, ...], *, composed: bool = False) -> Host:
    """Read the system. A line that names it wins; else the kind of paths and libraries that is seen most.

    ``composed``: the text is a log of docker compose, whose marks cleaning took away.
    """
    name = next((match["name"].strip() for line in lines if (match := _NAMED.match(line))), None)
    system = _system_of(name) if name else None
    if system is None:
        counts = {kind: sum(_weight(sign, line) for line in lines) for kind, sign in _SIGNS}
        best = max(counts, key=lambda kind: counts[kind])
        system = best if counts[best] else None
    wsl = any(_WSL.search(line) for line in lines) or None
    if wsl and system == "Windows" and any(_SIGNS[2][1].search(line) for line in lines):
        system = "Linux"
    machine = next((match[1] for line in lines if (match := _MACHINE.search(line))), None)
    return Host(
        os=system,
        distribution=_macos(lines, name) if system == "Darwin" else name,
        wsl=wsl,
        container="docker" if composed or any(_CONTAINER.search(line) for line in lines) else None,
        machine=machine if machine or system != "Windows" else "AMD64",
    )


def _weight(sign: re.Pattern[str], line: str) -> int:
    """How much a line speaks for a system: the names of Linux libraries turn up in messages on Windows too."""
    found = sign.search(line)
    if found is None:
        return 0
    return 1 if re.fullmatch(r"\.so[.\d]*|/usr/lib", found[0]) else 3


def _system_of(name: str) -> str | None:
    if re.search(r"windows|^nt$|^win32$|^win", name, re.I):
        return "Windows"
    if re.search(r"mac ?os|darwin|osx", name, re.I):
        return "Darwin"
    return (
        "Linux"
        if re.search(
            r"linux|ubuntu|debian|centos|fedora|red hat|arch|suse|rocky|alma"
            r"|mint",
            name,
            re.I,
        )
        else None
    )


def _macos(lines: tuple[str, ...], name: str | None) -> str | None:
    """ "macOS 12.7.6", from whichever line tells the version; error messages that demand one do not."""
    told = (name, *lines) if name else lines
    found = next(
        (match for line in told if not _DEMAND.search(line) and (match := _MACOS.search(line))), None
    )
    return f"macOS {found[1]}" if found else name
