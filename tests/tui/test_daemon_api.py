"""What a real daemon answers over its socket: routes, description, metrics, the loopback port, its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from command import sdoctor, sentence_of
from daemon_client import free_port, live_daemon, read_all, statuses
from nvml_fixture import RTX_3090, build_fake_nvml

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with live_daemon(tmp_path_factory.mktemp("answers"), tcp=True) as running:
        # The second sample is the first one with rates.
        end = time.monotonic() + 20
        while running.ask("GET", "/v1/samples?limit=2")[1]["samples"][1:] == []:
            assert time.monotonic() < end
            time.sleep(0.2)
        yield running


def test_status(daemon):
    status, found = daemon.ask("GET", "/v1/status")
    assert (status, found["schema"], found["pid"], found["healthy"]) == (
        200,
        "sdoctor.status/1",
        daemon.process.pid,
        True,
    )
    assert [each["name"] for each in found["services"]] == ["history", "watch", "keep-tuned", "api"]
    assert 0 <= found["newest_sample_seconds_ago"] < 10


def test_host_and_findings_are_those_of_check(daemon, tmp_path):
    of_check = json.loads(sdoctor("check", "--json", home=tmp_path).stdout)
    _, host = daemon.ask("GET", "/v1/host")
    _, findings = daemon.ask("GET", "/v1/findings")
    assert host["facts"]["cpu"]["model"] == of_check["facts"]["cpu"]["model"]
    assert [each["id"] for each in findings["findings"]] == [each["id"] for each in of_check["findings"]]
    assert findings["checked_at"] == host["checked_at"]
    _, fresh = daemon.ask("GET", "/v1/findings?fresh=true")
    assert fresh["checked_at"] > findings["checked_at"]


def test_samples_since(daemon):
    _, all_of_them = daemon.ask("GET", "/v1/samples")
    last = all_of_them["samples"][-1]
    assert last["figures"]["memory_available"]["mean"] > 0
    _, later = daemon.ask("GET", f"/v1/samples?since={last['at'] + 0.001}")
    assert all(each["at"] > last["at"] for each in later["samples"])
    assert daemon.ask("GET", "/v1/samples?since=99999999999")[1]["samples"] == []
    assert daemon.ask("GET", "/v1/incidents")[1]["schema"] == "sdoctor.incidents/1"


def test_every_route_is_described_and_every_description_answers(daemon):
    status, document = daemon.ask("GET", "/v1/openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")
    wanted = {
        "/v1/status",
        "/v1/host",
        "/v1/findings",
        "/v1/samples",
        "/v1/incidents",
        "/v1/advice",
        "/v1/leases",
        "/v1/room",
        "/metrics",
    }
    assert wanted <= set(document["paths"])
    references = json.dumps(document).split('"$ref": "#/components/schemas/')[1:]
    assert {each.partition('"')[0] for each in references} <= set(document["components"]["schemas"])
    for path, methods in document["paths"].items():
        if "get" in methods and "{" not in path:
            assert daemon.ask("GET", path)[0] == 200, path
    body = document["paths"]["/v1/advice"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    ask = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"model", "width", "height"} == set(ask["required"])


def test_metrics_are_what_prometheus_reads(daemon):
    from prometheus_client.parser import text_string_to_metric_families

    _, text = daemon.ask("GET", "/metrics")
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert all(name.startswith("sdoctor_") and families[name].documentation for name in families)
    assert (
        0
        < families["sdoctor_memory_available_bytes"].samples[0].value
        < families["sdoctor_memory_total_bytes"].samples[0].value
    )
    assert 0 <= families["sdoctor_cpu_busy_ratio"].samples[0].value <= 1
    assert families["sdoctor_daemon_resident_memory_bytes"].samples[0].value < 80 * 2**20
    # There is no card here, or there are some: never a card of which nothing is known.
    cards = families["sdoctor_gpus"].samples[0].value if "sdoctor_gpus" in families else 0
    assert ("sdoctor_gpu_memory_total_bytes" in families) == bool(cards)


def test_the_loopback_port_asks_for_the_token(daemon):
    headers = f"authorization: Bearer {daemon.token}\r\n"
    assert daemon.ask("GET", "/v1/status", tcp=True)[0] == 401
    assert daemon.ask("GET", "/v1/status", headers=headers, tcp=True)[0] == 200
    assert stat.S_IMODE((daemon.home / "run" / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(daemon.socket_path).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "address", ["0.0.0.0:8000", "192.168.1.1:80", "8000", "127.0.0.1:http", "127.0.0.1:70000", "evil:1"]
)
def test_it_listens_on_this_machine_only(address, tmp_path):
    done = sdoctor("daemon", "run", "--listen", address, home=tmp_path)
    assert done.returncode == 2
    assert "127.0.0.1:PORT" in sentence_of(done)


def test_a_stale_socket_is_replaced_and_a_request_in_flight_is_answered_at_the_end(tmp_path):
    with live_daemon(tmp_path / "first") as first:
        first.process.kill()
        first.process.wait()
    assert (tmp_path / "first" / "run" / "sdoctor.sock").exists()
    with live_daemon(tmp_path / "first") as second, second.connect(15.0) as asking:
        # The check takes a while: it is in flight when the signal comes.
        asking.sendall(b"GET /v1/findings?fresh=true HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        time.sleep(0.3)
        begin = time.monotonic()
        second.process.send_signal(signal.SIGTERM)
        second.process.wait(10)
        assert time.monotonic() - begin < 5.0
        assert statuses(read_all(asking)) == [200]
    assert not (tmp_path / "first" / "run" / "sdoctor.sock").exists()


def test_it_ends_within_five_seconds_whoever_is_connected(tmp_path):
    """One says nothing, one sends half a request, one takes no answers, one waits for a driver that hangs."""
    driver = build_fake_nvml(tmp_path, RTX_3090 + "hang nvmlDeviceGetName 0\n")
    environment = {name: driver[name] for name in ("LD_LIBRARY_PATH", "FAKE_NVML_SCENARIO")}
    request = "GET {} HTTP/1.1\r\nhost: x\r\n\r\n"
    with live_daemon(tmp_path / "h", **environment) as daemon, ExitStack() as stack:
        _silent, half, deaf, waiting = (stack.enter_context(daemon.connect()) for _ in range(4))
        half.sendall(b"POST /v1/advice HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setblocking(False)
        with suppress(OSError):
            for _ in range(90):
                deaf.send(request.format("/v1/openapi.json").encode())
        waiting.sendall(request.format("/v1/findings?fresh=true").encode())
        time.sleep(0.5)
        children = psutil.Process(daemon.process.pid).children()
        begin = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(20) == 0
        assert time.monotonic() - begin < 5.0
        assert not Path(daemon.socket_path).exists()
        # One of them hangs in the driver, and is not left behind.
        assert len(children) >= 2
        assert psutil.wait_procs(children, timeout=30)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the short name of a folder is Linux's")
def test_a_folder_whose_name_is_longer_than_a_sockets_may_be(tmp_path):
    home = tmp_path / ("long-" * 30)
    home.mkdir()
    started = sdoctor("daemon", "start", home=home)
    assert started.returncode == 0, started.stderr
    try:
        code = "from tuner.client import ask; print(ask('/v1/status')['schema'])"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "SDOCTOR_HOME": str(home)},
        )
        assert done.stdout.strip() == "sdoctor.status/1", done.stderr
    finally:
        assert sdoctor("daemon", "stop", home=home).returncode == 0


def test_the_port_may_stand_in_the_configuration(tmp_path):
    port = free_port()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "daemon.toml").write_text(f'listen = "127.0.0.1:{port}"\n')
    with live_daemon(tmp_path) as running:
        running.port = port
        headers = f"authorization: Bearer {running.token}\r\n"
        assert running.ask("GET", "/v1/status", headers=headers, tcp=True)[0] == 200
    (tmp_path / "config" / "daemon.toml").write_text('listen = "0.0.0.0:80"\n')
    assert sdoctor("daemon", "run", home=tmp_path).returncode == 2


API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_knows_every_path(daemon):
    _, document = daemon.ask("GET", "/v1/openapi.json")
    page = API_PAGE.read_text()
    assert [path for path in document["paths"] if path not in page] == []


def test_the_requests_of_the_page_work(daemon):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    lines = [line for line in API_PAGE.read_text().splitlines() if line.startswith("curl ")]
    assert len(lines) >= 4
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env={**os.environ, "S": daemon.socket_path}
        )
        found = json.loads(done.stdout)
        # There is no profile in this home: the last one is told so.
        assert found.get("schema", "").startswith("sdoctor.") or found.get("status") == 404, done.stdout
