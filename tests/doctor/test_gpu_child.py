import os
import sys
import time

import pytest
from nvml_fixture import RTX_3090, build_fake_nvml

from doctor.telemetry import gpu_child
from doctor.telemetry.gpu_child import GpuChild


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(gpu_child, "START_PATIENCE", 3.0)
    monkeypatch.setattr(gpu_child, "GIVE_UP", 0.2)
    monkeypatch.setattr(gpu_child, "RESTART", 0.1)


def child_on(monkeypatch, folder, scenario):
    folder.mkdir(exist_ok=True)
    for name, value in build_fake_nvml(folder, scenario).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return GpuChild(present=True)


def test_everything_that_a_card_counts(monkeypatch, tmp_path):
    scenario = RTX_3090 + (
        "process 4711 2147483648\nvalue nvmlDeviceGetUtilizationRates 0 97\nvalue memory_activity 0 40\n"
        "value pcie_received 0 1000\ngrow 270 0 500000000\nvalue nvmlDeviceGetCurrentClocksEventReasons 0 64\n"
    )
    source = child_on(monkeypatch, tmp_path, scenario)
    source.read()
    time.sleep(0.2)
    ((card,), error) = source.read()
    source.close()
    assert error is None
    assert (card.utilization, card.memory_activity) == (97.0, 40.0)
    assert (card.power, card.power_limit, card.clock, card.clock_max) == (21.5, 250.0, 210.0, 2100.0)
    assert card.throttle_reasons == ("hardware thermal",)
    assert card.throttling.hardware_thermal == pytest.approx(50.0, abs=2.0)
    assert card.throttling.software_thermal is None  # the driver does not count it
    assert card.pcie_received == 1024000.0
    assert [(each.pid, each.memory_used) for each in card.processes] == [(4711, 2 << 30)]


def test_a_driver_that_hangs_holds_up_nothing_for_long(monkeypatch, tmp_path, quick):
    source = child_on(monkeypatch, tmp_path, RTX_3090 + "hang nvmlDeviceGetPowerUsage 0\n")
    monkeypatch.setattr(gpu_child, "START_PATIENCE", 0.5)
    begun = time.monotonic()
    cards, why = source.read()
    assert time.monotonic() - begun < 2
    assert cards is None
    assert "has not answered" in why
    assert source.pid is None  # given up
    source.close()


def test_a_driver_that_crashes_is_asked_again(monkeypatch, tmp_path, quick):
    source = child_on(monkeypatch, tmp_path, RTX_3090 + "crash nvmlDeviceGetPowerUsage 0\n")
    cards, why = source.read()
    assert cards is None
    assert "ended with code -11" in why
    # The card is mended: the next child finds it.
    (tmp_path / "scenario.txt").write_text(RTX_3090)
    time.sleep(0.2)
    cards, why = source.read()
    source.close()
    assert [card.name for card in cards] == ["NVIDIA GeForce RTX 3090"], why


def test_a_lost_card_keeps_its_place(monkeypatch, tmp_path):
    second = RTX_3090.replace("11111111", "22222222")
    source = child_on(monkeypatch, tmp_path, RTX_3090 + second + "lose nvmlDeviceGetUtilizationRates 1\n")
    source.read()
    cards, _ = source.read()
    source.close()
    assert [card.name for card in cards] == ["NVIDIA GeForce RTX 3090", None]
    assert cards[1].memory_used is None


def test_no_driver_costs_no_child():
    source = GpuChild(present=False)
    assert source.read() == ((), None)
    assert source.pid is None
