"""The daemon under a real systemd user manager: install, ready, reload, kill -9, watchdog, the next session, uninstall.

    python tests/benchmarks/under_systemd.py [--fast]

Root only, Linux with systemd: the manager runs in namespaces of its own (processes, mounts, control groups) with a home
of its own, so that nothing of this machine is touched. Prints a Markdown table; exit code 1 if something is not as it has
to be, 2 where it cannot be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

MANAGER = Path("/lib/systemd/systemd")
UNIT = "sdoctor.service"
WATCHDOG_SECONDS = 6
"""In place of the unit's sixty, by a drop-in."""

_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup")
_INSIDE = """\
mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 2
exec "$@"
"""
"""A manager begins only where /run/systemd/system says that the machine was started by systemd (sd_booted(3)), and wants
the unified hierarchy of control groups to write to."""


def why_not() -> str:
    """Why it cannot be tried here; "" if it can."""
    if sys.platform != "linux" or not MANAGER.exists() or shutil.which("systemctl") is None:
        return "systemd is not here"
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is not here"
    if os.getuid() != 0:
        return "only root can give systemd namespaces of its own"
    tried = subprocess.run(
        [*_NAMESPACES, "sh", "-c", _INSIDE, "sh", "true"], capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else f"no namespaces can be made here ({tried.stderr.strip()[-200:]})"


class Session:
    """A user's systemd, from log-in to log-out."""

    def __init__(self) -> None:
        self._manager: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        self._manager = subprocess.Popen(
            [str(MANAGER), "--user", "--log-target=null"], stdin=subprocess.DEVNULL
        )
        until(lambda: systemctl("is-system-running") in ("running", "degraded"), 20)

    def end(self) -> None:
        if self._manager is not None:
            self._manager.send_signal(signal.SIGTERM)
            try:
                self._manager.wait(20)
            except subprocess.TimeoutExpired:
                self._manager.kill()
                self._manager.wait()


def systemctl(*words: str) -> str:
    """What it prints."""
    done = subprocess.run(
        ["systemctl", "--user", "--no-pager", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def shown(name: str) -> str:
    """A property of the unit."""
    return systemctl("show", UNIT, f"--property={name}", "--value")


def until(done: Callable[[], bool], seconds: float) -> float:
    """Seconds until it was so. Raises AssertionError if it is not by then."""
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < seconds, f"not within {seconds:g} s: {systemctl('status', UNIT)}"
        time.sleep(0.1)
    return time.monotonic() - begin


def sdoctor(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tui", *words],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def runs_anew(before: str) -> Callable[[], bool]:
    """Whether another process than that one is ready."""
    return lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", before)


def status() -> dict:
    from tuner.client import ask

    return ask("/v1/status")


def interval() -> float:
    return next(each for each in status()["services"] if each["name"] == "watch")["figures"][
        "interval_seconds"
    ]


def installed(session: Session) -> str:
    session.begin()
    begin = time.monotonic()
    sdoctor("daemon", "install")
    took = time.monotonic() - begin
    assert shown("ActiveState") == "active"
    assert systemctl("is-enabled", UNIT) == "enabled"
    assert status()["pid"] == int(shown("MainPID"))
    return f"active and answering after {took:.1f} s, enabled"


def told(_session: Session) -> str:
    until(lambda: "services run" in shown("StatusText"), 30)
    return f'status "{shown("StatusText")}", watchdog {shown("WatchdogUSec")}'


def reloaded(_session: Session) -> str:
    config = Path(os.environ["SDOCTOR_HOME"]) / "config" / "daemon.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text("interval_seconds = 0.5\n")
    before, pid = interval(), shown("MainPID")
    systemctl("reload", UNIT)
    took = until(lambda: interval() == 0.5, 10)
    assert shown("MainPID") == pid
    return f"interval {before:g} s became 0.5 s in the same process after {took:.1f} s"


def killed(_session: Session) -> str:
    pid = shown("MainPID")
    os.kill(int(pid), signal.SIGKILL)
    took = until(runs_anew(pid), 30)
    found = json.loads(sdoctor("incidents", "--json"))["incidents"]
    assert [each["kind"] for each in found] == ["daemon-killed"]
    return f"runs anew after {took:.1f} s; 'sdoctor incidents' has daemon-killed"


def hung(_session: Session) -> str:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user" / f"{UNIT}.d"
    folder.mkdir(parents=True)
    (folder / "short.conf").write_text(f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
    systemctl("daemon-reload")
    systemctl("restart", UNIT)
    pid = shown("MainPID")
    # As long as it works, it is left alone: three times the patience.
    time.sleep(3 * WATCHDOG_SECONDS)
    assert shown("MainPID") == pid
    os.kill(int(pid), signal.SIGSTOP)
    took = until(runs_anew(pid), 60)
    return f"left alone for {3 * WATCHDOG_SECONDS} s while it works; stopped in its tracks: runs anew after {took:.1f} s"


def stopped(_session: Session) -> str:
    begin = time.monotonic()
    systemctl("stop", UNIT)
    took = time.monotonic() - begin
    assert took < 5, took
    assert (shown("ActiveState"), shown("Result")) == ("inactive", "success")
    time.sleep(6)  # longer than RestartSec
    assert shown("MainPID") == "0"
    return f"ended after {took:.1f} s, result success, stays so"


def next_session(session: Session) -> str:
    session.end()
    session.begin()
    took = until(runs_anew("0"), 30)
    return f"runs {took:.1f} s after the manager"


def uninstalled(_session: Session) -> str:
    pid = int(shown("MainPID"))
    unit = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user" / UNIT
    sdoctor("daemon", "uninstall")
    assert not unit.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert systemctl("is-enabled", UNIT) in ("", "not-found")
    assert (Path(os.environ["SDOCTOR_HOME"]) / "data" / "history.db").exists()
    return "process and unit are gone, the history is there"


def verified(_session: Session) -> str:
    unit = Path(os.environ["HOME"]) / UNIT
    unit.write_text(sdoctor("daemon", "install", "--print"))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert UNIT not in done.stderr, done.stderr
    return "nothing to say of the unit"


STEPS: dict[str, tuple[Callable[[Session], str], bool]] = {
    "`systemd-analyze verify`": (verified, True),
    "`sdoctor daemon install`": (installed, True),
    "readiness and what `systemctl status` shows": (told, True),
    "`systemctl reload` after a change of daemon.toml": (reloaded, True),
    "`kill -9`": (killed, True),
    f"the watchdog, at {WATCHDOG_SECONDS} s": (hung, False),
    "`systemctl stop`": (stopped, False),
    "log out, log in": (next_session, True),
    "`sdoctor daemon uninstall`": (uninstalled, True),
}
"""What is done -> how, and whether it is one of the fast ones."""


def inside(fast: bool) -> int:
    """In the namespaces: do it all."""
    version = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout
    print(f"{version.splitlines()[0]}\n\n| what | what happened |\n|---|---|", flush=True)
    session, wrong = Session(), 0
    try:
        for name, (step, is_fast) in STEPS.items():
            if fast and not is_fast:
                continue
            try:
                outcome = step(session)
            except AssertionError as error:
                outcome, wrong = f"**not as it has to be**: {error!r}", wrong + 1
            print(f"| {name} | {outcome} |", flush=True)
    finally:
        session.end()
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fast", action="store_true", help="without what takes ten seconds and more")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        return inside(asked.fast)
    reason = why_not()
    if reason:
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="sd") as name:
        home = Path(name)
        for each in ("home", "config", "run", "h"):
            (home / each).mkdir(mode=0o700)
        environment = os.environ | {
            "HOME": str(home / "home"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "SDOCTOR_HOME": str(home / "h"),
        }
        environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        words = [sys.executable, "-P", __file__, "--inside", *(["--fast"] if asked.fast else [])]
        done = subprocess.run([*_NAMESPACES, "sh", "-c", _INSIDE, "sh", *words], env=environment, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
