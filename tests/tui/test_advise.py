"""The script of docs/advice.md, run against a real daemon and without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import sdoctor
from daemon_client import live_daemon
from made_profiles import FAST, TILED, profile

from doctor.gather import gather
from tui.situation import survey
from tuner.client import make_room
from tuner.fingerprint import fingerprint_of
from tuner.profile import ProfileRung
from tuner.store import save
from tuner.target import choose_target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

DOCS = Path(__file__).parents[2] / "docs" / "advice.md"
MIB = 2**20


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a profile of builtin:tiny that holds here: two rungs, the second of which needs little."""
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    facts = gather()
    save(
        profile(
            fingerprint=fingerprint_of(facts, choose_target(facts, "cpu")),
            ladder=(
                ProfileRung(name="fastest", settings=FAST, largest=512, limit="memory", peak_bytes=2**60),
                ProfileRung(
                    name="tiled decode", settings=TILED, largest=512, limit="memory", peak_bytes=150 * MIB
                ),
            ),
            pipeline=None,
        )
    )
    return tmp_path


def script() -> str:
    """The first Python block of the page."""
    return re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)


def run(code: str, home: Path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "SDOCTOR_HOME": str(home)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_of_the_page_draws_and_gives_its_lease_back(home):
    with live_daemon(home) as daemon:
        said = run(
            script() + "\nprint(advice.source, advice.rung, advice.leased, pipe.settings.vae_tiling)", home
        )
        assert said.splitlines()[-1] == "daemon tiled decode False on"
        assert daemon.ask("GET", "/v1/leases")[1]["leases"] == []
    assert (home / "fox.png").read_bytes()[:4] == b"\x89PNG"


def test_without_a_daemon_the_profile_answers(home):
    code = "from tuner import advise\na = advise('builtin:tiny', 256, 256)\nprint(a.source, a.rung, a.leased)"
    assert run(code, home).strip() == "profile fastest False"


def test_nothing_heavy_is_imported_to_ask(home):
    with live_daemon(home):
        code = (
            "import sys\nfrom tuner import advise\nwith advise('builtin:tiny', 256, 256) as a: pass\n"
            "print([name for name in ('torch', 'numpy', 'msgspec', 'starlette', 'psutil') if name in sys.modules])"
        )
        assert run(code, home).strip() == "[]"


def test_a_program_that_is_killed_leaves_no_lease(home):
    code = (
        "from tuner import advise\nimport time\na = advise('builtin:tiny', 256, 256)\n"
        "print('has it', flush=True)\ntime.sleep(60)"
    )
    with live_daemon(home) as daemon:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "SDOCTOR_HOME": str(home)},
        )
        assert child.stdout.readline() == b"has it\n"
        (lease,) = daemon.ask("GET", "/v1/leases")[1]["leases"]
        assert (lease["pid"], lease["device"]) == (child.pid, "cpu")
        child.kill()
        child.wait()
        assert daemon.ask("GET", "/v1/leases")[1]["leases"] == []


def test_what_others_are_promised_is_not_free_for_a_program_that_makes_room(home):
    assert make_room() == {}  # no daemon
    code = (
        "from tuner import advise\nimport sys\na = advise('builtin:tiny', 256, 256)\n"
        "from tuner.client import make_room\nprint(make_room(), flush=True)\nsys.stdin.read()"
    )
    with live_daemon(home) as daemon:
        alone = survey("builtin:tiny", "cpu", None)
        holder = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "SDOCTOR_HOME": str(home)},
        )
        try:
            # Its own lease is no hindrance to itself.
            assert holder.stdout.readline() == b"{'cpu': 0}\n"
            promised = make_room()
            (lease,) = daemon.ask("GET", "/v1/leases")[1]["leases"]
            assert 0.8 * lease["bytes"] < promised["cpu"] < lease["bytes"]
            assert survey("builtin:tiny", "cpu", None).budget < alone.budget - promised["cpu"] // 2
        finally:
            holder.communicate()
        assert daemon.ask("POST", "/v1/room", {"seconds": 0})[0] == 400
        status, said = daemon.ask("POST", "/v1/room", {"seconds": 5})
        assert (status, said["schema"], said["study_stopped"], said["clear"]) == (
            200,
            "sdoctor.room/1",
            False,
            True,
        )


def test_a_lease_is_renewed_while_it_is_held_and_over_when_it_is_not(home):
    with live_daemon(home) as daemon:
        wish = {"model": "builtin:tiny", "width": 256, "height": 256, "seconds": 1.0}
        # Asked by this process, which lives on, and never renewed.
        status, advice = daemon.ask("POST", "/v1/advice", wish)
        assert (status, advice["rung"], advice["skipped"][0]["rung"]) == (200, "tiled decode", "fastest")
        assert daemon.ask("POST", f"/v1/leases/{advice['lease']['id']}/renew", {"seconds": 2.0})[0] == 200
        time.sleep(1.2)
        assert len(daemon.ask("GET", "/v1/leases")[1]["leases"]) == 1
        time.sleep(1.2)
        assert daemon.ask("GET", "/v1/leases")[1]["leases"] == []
        look = daemon.ask("POST", "/v1/advice", wish | {"lease": False})[1]
        assert look["lease"] is None
        assert daemon.ask("GET", "/v1/leases")[1]["leases"] == []


def test_what_cannot_be_had_is_said_in_a_sentence(home):
    with live_daemon(home) as daemon:
        status, said = daemon.ask(
            "POST", "/v1/advice", {"model": "builtin:tiny", "width": 2048, "height": 2048}
        )
        assert (status, "proven up to 512x512" in said["detail"]) == (409, True)
        status, said = daemon.ask(
            "POST", "/v1/advice", {"model": "builtin:sd15", "width": 512, "height": 512}
        )
        assert (status, "sdoctor tune" in said["detail"]) == (404, True)
    done = sdoctor("profile", "list", "--json", home=home)
    assert len(json.loads(done.stdout)["profiles"]) == 1
