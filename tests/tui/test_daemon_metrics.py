"""Dashboard and alert rules speak of what the daemon really exports; and a real Prometheus reads it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from daemon_client import free_port, live_daemon
from made_profiles import FAST, profile
from nvml_fixture import RTX_3090, build_fake_nvml
from prometheus_client.parser import text_string_to_metric_families

from doctor.gather import gather
from tuner.fingerprint import fingerprint_of
from tuner.profile import ProfileRung
from tuner.store import save
from tuner.target import choose_target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\bsdoctor_\w+")
CARD = RTX_3090.replace("1073741824", "25600000000") + (
    "value nvmlDeviceGetUtilizationRates 0 55\nvalue nvmlDeviceGetPowerUsage 0 320000\n"
    "value nvmlDeviceGetTemperature 0 71\nvalue nvmlDeviceGetClockInfo 0 1695\ngrow 74 0 0\n"
    "grow 269 0 400000000\ngrow 270 0 0\ngrow 271 0 0\ngrow 198 0 1000000\ngrow 197 0 1000000\n"
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon on a machine with a card, after some samples, with a lease and a refused connection."""
    folder = tmp_path_factory.mktemp("metrics")
    library = tmp_path_factory.mktemp("driver")
    environment = build_fake_nvml(library, CARD)
    with live_daemon(
        folder, tcp=True, **{k: environment[k] for k in ("LD_LIBRARY_PATH", "FAKE_NVML_SCENARIO")}
    ) as running:
        end = time.monotonic() + 30
        while "sdoctor_gpu_throttled_ratio" not in running.ask("GET", "/metrics")[1]:
            assert time.monotonic() < end, running.ask("GET", "/metrics")[1]
            time.sleep(0.3)
        _bring_about_the_rest(running)
        yield running


def _bring_about_the_rest(daemon) -> None:
    """What only is exported when it happens: a lease, a refused connection, and (the card is full) an incident."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(daemon.home))
        facts = gather()
        rung = ProfileRung(name="fastest", settings=FAST, largest=512, limit="memory", peak_bytes=2**27)
        here = fingerprint_of(facts, choose_target(facts, "cpu"))
        save(profile(fingerprint=here, ladder=(rung,), pipeline=None))
    wish = {"model": "builtin:tiny", "width": 256, "height": 256, "device": "cpu", "seconds": 600}
    status, answer = daemon.ask("POST", "/v1/advice", wish)
    assert status == 200, answer
    with ExitStack() as stack:
        for _ in range(70):
            stack.enter_context(daemon.connect())
        time.sleep(0.3)
    end = time.monotonic() + 30
    while WAITED_FOR - exported(daemon):
        assert time.monotonic() < end, WAITED_FOR - exported(daemon)
        time.sleep(0.5)


WAITED_FOR = {
    "sdoctor_incidents_active",
    "sdoctor_lease_bytes",
    "sdoctor_lease_unused_bytes",
    "sdoctor_api_connections_refused_total",
}


OF_THE_MACHINE = {
    "sdoctor_cpu_stolen_ratio",
    "sdoctor_pressure_ratio",
    "sdoctor_disk_read_bytes_per_second",
    "sdoctor_disk_written_bytes_per_second",
}
"""What not every machine has: a kernel that counts stolen time and pressure, a disk of its own."""


def exported(daemon) -> set[str]:
    """The names of all series."""
    _, text = daemon.ask("GET", "/metrics")
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def names_of_the_source() -> set[str]:
    """Every name that the daemon can export, as its source has them: some need an incident, a lease or a study."""
    root = DOCS.parent
    found = set()
    for path in (
        root / "doctor" / "daemon" / "api" / "machine.py",
        root / "doctor" / "daemon" / "api" / "metrics.py",
        root / "tuner" / "advice_routes.py",
    ):
        text = path.read_text()
        found |= {f"sdoctor_{name}" for name in re.findall(r"gauge\(\s*\"(\w+)\"", text)}
        found |= {f"sdoctor_{name}_total" for name in re.findall(r"counter\(\s*\"(\w+)\"", text)}
    return found


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "alerts.yml"])
def test_every_name_is_exported(daemon, file):
    used = set(NAME.findall((DOCS / file).read_text()))
    assert used
    really = exported(daemon)
    assert used <= really | OF_THE_MACHINE
    assert used <= names_of_the_source() | {"sdoctor_history_file_bytes"}


def test_the_daemon_exports_what_its_source_says(daemon):
    assert {name for name in exported(daemon) if not name.endswith("_file_bytes")} <= names_of_the_source()


def test_a_card_is_told_in_base_units(daemon):
    _, text = daemon.ask("GET", "/metrics")
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("gpu") == "0" and "reason" not in sample.labels
    }
    assert values["sdoctor_gpu_memory_total_bytes"] == 25769803776
    assert values["sdoctor_gpu_utilization_ratio"] == 0.55
    assert values["sdoctor_gpu_power_watts"] == 320
    assert values["sdoctor_gpu_clock_hertz"] == 1695e6
    assert values["sdoctor_gpu_temperature_celsius"] == 71


def test_the_dashboard_has_no_two_panels_in_one_place():
    panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install prometheus)")
    return found


def test_promtool_finds_nothing_wrong(daemon):
    promtool = needs("promtool")
    rules = subprocess.run([promtool, "check", "rules", DOCS / "alerts.yml"], capture_output=True, text=True)
    assert rules.returncode == 0, rules.stderr
    _, text = daemon.ask("GET", "/metrics")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_alerts_fire_when_they_have_to_and_only_then():
    promtool = needs("promtool")
    series = Path(__file__).parents[1] / "alert_rules_test.yml"
    done = subprocess.run([promtool, "test", "rules", series], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_real_prometheus_reads_the_daemon(daemon, tmp_path):
    prometheus = needs("prometheus")
    (tmp_path / "prometheus.yml").write_text(
        f"""\
global: {{scrape_interval: 1s}}
rule_files: ["{DOCS / "alerts.yml"}"]
scrape_configs:
  - job_name: sdoctor
    authorization: {{credentials_file: "{daemon.home / "run" / "token"}"}}
    static_configs: [{{targets: ["127.0.0.1:{daemon.port}"]}}]
"""
    )
    port = free_port()
    server = subprocess.Popen(
        [prometheus, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not (found := _query(port, "sdoctor_gpu_memory_total_bytes")):
            assert server.poll() is None, server.stderr.read().decode()
            assert time.monotonic() < end
            time.sleep(0.5)
        assert found[0]["value"][1] == "25769803776"
        assert found[0]["metric"]["name"] == "NVIDIA GeForce RTX 3090"
        assert _query(port, 'up{job="sdoctor"}')[0]["value"][1] == "1"
        rules = _get(port, "/api/v1/rules")["data"]["groups"][0]["rules"]
        assert all(rule["health"] in ("ok", "unknown") for rule in rules)
        _every_question_of_the_dashboard_is_answered(port, exported(daemon))
    finally:
        server.terminate()
        server.communicate(timeout=20)


def _every_question_of_the_dashboard_is_answered(port: int, really: set[str]) -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 30
    end = time.monotonic() + 30
    for each in asked:
        # As Grafana asks when "All" is chosen.
        expression = each.replace("$instance", ".*").replace("$gpu", ".*")
        assert "$" not in expression
        if not set(NAME.findall(expression)) <= really:
            assert set(NAME.findall(expression)) <= OF_THE_MACHINE, each
            continue
        # A rate needs two readings.
        while not _query(port, expression):
            assert time.monotonic() < end, f"no answer to {expression}"
            time.sleep(0.5)
    for variable in dashboard["templating"]["list"][1:]:
        series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
        assert _get(port, f"/api/v1/label/{label}/values?match[]={series}")["data"], variable["name"]


def _get(port: int, path: str):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def _query(port: int, expression: str):
    with suppress(OSError):
        return _get(port, f"/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]
    return []
