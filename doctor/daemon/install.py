"""How the daemon is started with the user's session: a systemd user unit, a launchd agent, a task of Windows.

Only the systemd unit is ever written by sdoctor; the others are printed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.sax.saxutils import escape

UNIT = "sdoctor.service"
PLATFORMS = ("linux", "darwin", "win32")
"""As ``sys.platform`` names them; Linux stands for every system with systemd."""

LABEL = "org.sdoctor.daemon"

WATCHDOG_SECONDS = 60
"""Silence after which systemd starts the daemon anew; it reports three times as often (``doctor.daemon.runner``)."""

STOP_SECONDS = 10
"""The daemon drains within 5 s; systemd kills it after this."""


def command() -> tuple[str, ...]:
    """How the daemon is started: this Python, whatever PATH says, and no folder of strangers (-P)."""
    return (sys.executable, "-P", "-m", "tui", "daemon", "run")


def unit_file() -> Path:
    """Where systemd looks for a user's own units (systemd.unit(5))."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "systemd" / "user" / UNIT


def unit_text() -> str:
    """The systemd user unit. ``Type=notify`` with a watchdog, SIGHUP to reload (systemd.service(5))."""
    home = os.environ.get("SDOCTOR_HOME")
    environment = f"Environment={_quoted(f'SDOCTOR_HOME={home}')}\n" if home else ""
    return f"""\
# Written by 'sdoctor daemon install'; 'sdoctor daemon uninstall' takes it away.
[Unit]
Description=sdoctor: watches this machine for image generation

[Service]
Type=notify
ExecStart={" ".join(_quoted(part) for part in command())}
ExecReload=/bin/kill -HUP $MAINPID
{environment}WatchdogSec={WATCHDOG_SECONDS}
Restart=on-failure
RestartSec=5
TimeoutStopSec={STOP_SECONDS}
KillMode=mixed
Nice=5
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


def launchd_text() -> str:
    """The launchd agent of macOS (launchd.plist(5)), for ~/Library/LaunchAgents."""
    arguments = "\n".join(f"    <string>{escape(part)}</string>" for part in command())
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ProcessType</key><string>Background</string>
</dict>
</plist>
"""


def windows_text() -> str:
    """The command that makes a task of Windows which starts at log-on (schtasks /create)."""
    program = " ".join(f'\\"{part}\\"' if " " in part else part for part in command())
    return f'schtasks /create /tn sdoctor /sc onlogon /rl limited /tr "{program}"\n'


def text_for(platform: str) -> str:
    """What to install on a platform, as ``sys.platform`` names it."""
    if platform == "darwin":
        return launchd_text()
    if platform == "win32":
        return windows_text()
    return unit_text()


def _quoted(word: str) -> str:
    """As systemd reads a command line: "%" begins a specifier, "$" a variable (systemd.syntax(7))."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if any(letter in word for letter in " \t\"'\\;") else word
