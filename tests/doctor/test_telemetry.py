import os
import time
from collections import namedtuple
from pathlib import Path

import psutil
import pynvml
import pytest

import doctor.telemetry.memory
from doctor.telemetry.gpu import GpuSource
from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Sampler, read_sample

NOT_SUPPORTED, UNKNOWN_GPU, LOST = 3, 999, 15


class FakeDriver:
    """Stands where pynvml keeps libnvidia-ml: functions called as ctypes would call them."""

    def __init__(self):
        self.cards = 2
        self.failing = {}
        self.memory = (12 << 30, 7 << 30)
        self.started = 0
        self.ended = 0

    def _done(self, name):
        return self.failing.get(name, 0)

    def nvmlInitWithFlags(self, _flags):
        self.started += 1
        return self._done("init")

    def nvmlShutdown(self):
        self.ended += 1
        return 0

    def nvmlDeviceGetCount_v2(self, count):
        count._obj.value = self.cards
        return self._done("count")

    def nvmlDeviceGetHandleByIndex_v2(self, _index, _handle):
        return self._done("handle")

    def nvmlDeviceGetName(self, _handle, buffer, _size):
        buffer.value = b"NVIDIA Test 3060"
        return self._done("name")

    def nvmlDeviceGetUtilizationRates(self, _handle, rates):
        rates._obj.gpu, rates._obj.memory = 0, 0
        return self._done("utilization")

    def nvmlDeviceGetMemoryInfo(self, _handle, memory):
        memory._obj.total, memory._obj.used = self.memory
        return self._done("memory")

    def nvmlDeviceGetPowerUsage(self, _handle, power):
        power._obj.value = 170_500
        return self._done("power")

    def nvmlDeviceGetTemperature(self, _handle, _sensor, degrees):
        degrees._obj.value = 71
        return self._done("temperature")

    def nvmlErrorString(self, _code):
        return b"driver says no"


@pytest.fixture
def driver(monkeypatch):
    fake = FakeDriver()
    monkeypatch.setattr(pynvml, "nvmlLib", fake)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return fake


def test_a_busy_process_is_seen_as_busy():
    source = Sampler()
    first = source.read(os.getpid())
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        pass
    sample = source.read(os.getpid())
    source.close()
    assert first.cpu_percent is None
    assert first.process_cpu_percent is None
    assert sample.at > first.at
    assert sample.process_cpu_percent > 20
    assert 0 < sample.cpu_percent <= 100
    assert len(sample.core_percents) == psutil.cpu_count()
    assert sample.process_rss > 5 << 20
    assert sample.memory_used + sample.memory_available == sample.memory_total


def test_a_sample_by_itself_has_percentages():
    sample = read_sample(over=0.1)
    assert sample.cpu_percent is not None
    assert sample.process_rss is None


def test_a_process_that_is_gone_has_no_figures():
    source = Sampler()
    source.read(2**22 + 1)
    sample = source.read(2**22 + 1)
    assert sample.process_cpu_percent is None
    assert sample.process_rss is None
    assert sample.memory_total > 0


def test_each_failing_counter_is_dropped_alone(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError("/proc is hidden")

    source = Sampler()
    source.read()
    for name in ("cpu_times", "virtual_memory", "swap_memory"):
        monkeypatch.setattr(psutil, name, refuse)
    monkeypatch.setattr(doctor.telemetry.memory, "text_of", lambda path: None)
    sample = source.read(os.getpid())
    assert sample.cpu_percent is None
    assert sample.memory_total is None
    assert sample.memory_used is None
    assert sample.swap_used is None
    assert sample.process_rss > 0


def test_a_core_that_comes_or_goes_gives_no_percentages(monkeypatch):
    core = namedtuple("core", "user idle")
    readings = [[core(1, 1), core(1, 1)], [core(2, 2)], [core(3, 2)], [core(3, 2)]]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: readings.pop(0))
    source = Sampler()
    assert [source.read().cpu_percent for _ in range(4)] == [None, None, 100.0, None]


def test_cards_are_read_and_zero_is_a_value(driver):
    source = GpuSource()
    cards, error = source.read()
    source.close()
    assert error is None
    assert [card.index for card in cards] == [0, 1]
    assert cards[0].name == "NVIDIA Test 3060"
    assert cards[0].utilization == 0.0
    assert (cards[0].memory_total, cards[0].memory_used) == (12 << 30, 7 << 30)
    assert (cards[0].power, cards[0].temperature) == (170.5, 71.0)
    assert (driver.started, driver.ended) == (1, 1)
    assert source.read() == (None, "closed")


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ("utilization", "utilization"),
        ("power", "power"),
        ("temperature", "temperature"),
        ("memory", "memory_used"),
    ],
)
def test_what_a_card_does_not_support_is_none(driver, what, field):
    driver.failing[what] = NOT_SUPPORTED
    (card, _), _ = GpuSource().read()
    assert getattr(card, field) is None
    assert card.name == "NVIDIA Test 3060"


def test_a_figure_with_all_bits_set_is_no_figure(driver):
    driver.memory = (2**64 - 1, 2**64 - 1)
    (card, _), _ = GpuSource().read()
    assert card.memory_total is None
    assert card.memory_used is None


def test_a_lost_card_keeps_its_place_and_returns(driver):
    source = GpuSource()
    driver.failing["handle"] = LOST
    cards, _ = source.read()
    assert [(card.index, card.name) for card in cards] == [(0, None), (1, None)]
    driver.failing.clear()
    cards, _ = source.read()
    assert cards[0].name == "NVIDIA Test 3060"


def test_a_driver_that_refuses_is_unknown_not_absent(driver):
    driver.failing["init"] = UNKNOWN_GPU
    cards, error = GpuSource().read()
    assert cards is None
    assert error
    sample = Sampler(GpuSource()).read()
    assert sample.gpus is None
    assert sample.gpu_error == error


def test_a_count_that_fails_later_is_unknown(driver):
    source = GpuSource()
    driver.failing["count"] = UNKNOWN_GPU
    assert source.read()[0] is None


def test_no_library_means_no_cards(monkeypatch):
    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert GpuSource().read() == ((), None)


def test_an_old_driver_without_a_function(driver, monkeypatch):
    monkeypatch.delattr(FakeDriver, "nvmlDeviceGetPowerUsage")
    (card, _), _ = GpuSource().read()
    assert card.power is None
    assert card.temperature == 71.0


def test_a_sample_defaults_to_nothing_known():
    sample = Sample(at=1.0)
    assert {getattr(sample, name) for name in sample.__slots__ if name != "at"} == {None}


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="psutil is what is read elsewhere")
def test_memory_is_what_psutil_says(monkeypatch):
    ours = doctor.telemetry.memory.read_memory()
    monkeypatch.setattr(doctor.telemetry.memory, "text_of", lambda path: None)
    theirs = doctor.telemetry.memory.read_memory()
    assert (ours.total, ours.swap_total) == (theirs.total, theirs.swap_total)
    assert ours.available == pytest.approx(theirs.available, abs=1 << 30)
    assert (ours.swap_used, ours.swapped_in) == pytest.approx(
        (theirs.swap_used, theirs.swapped_in), abs=1 << 30
    )


def test_without_a_counter_for_swap_there_is_none(monkeypatch):
    files = {"/proc/meminfo": "MemTotal: 8 kB\nMemAvailable: 9 kB\nSwapTotal: 4 kB\nSwapFree: 1 kB\n"}
    monkeypatch.setattr(doctor.telemetry.memory, "text_of", files.get)
    memory = doctor.telemetry.memory.read_memory()
    assert (memory.total, memory.available, memory.swap_used) == (8192, 8192, 3072)
    assert (memory.swapped_in, memory.swapped_out) == (None, None)
