"""The NVML child against a fake driver library, loaded by the real pynvml in a real process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_fixture import RTX_3090, TESLA_P40, build_fake_nvml

from doctor.facts import Facts, Gpu
from doctor.gather.nvidia import count_pci_devices, parse_lines, parse_module_version

ASK = """
import sys, time
from pathlib import Path
from doctor.facts import Facts
from doctor.gather.nvidia import read_nvidia
from doctor.gather.redact import Redactor
started = time.monotonic()
reading = read_nvidia(Redactor("", ""), root=Path(sys.argv[1]), deadline=float(sys.argv[2]))
print(time.monotonic() - started, file=sys.stderr)
sys.stdout.buffer.write(Facts(unread=tuple(reading.unread), **reading.parts).to_json())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fake driver library is an ELF file")


def ask(env: dict[str, str], root: Path, deadline: float = 10.0) -> Facts:
    """What the reader says in an environment of its own, with empty /proc and /sys."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK, str(root), str(deadline)], env=env, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return Facts.from_json(done.stdout)


def unread(facts: Facts) -> dict[str, str]:
    return {miss.what: miss.why for miss in facts.unread}


def test_every_field_of_a_card_is_read(tmp_path: Path) -> None:
    scenario = RTX_3090 + "process 4711 2147483648\n"
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.driver.version == "580.65.06"
    assert facts.driver.cuda_version == (13, 0)
    assert facts.driver.error is None
    assert facts.unread == ()
    assert facts.gpus is not None
    (gpu,) = facts.gpus
    assert [name for name in Gpu.__dataclass_fields__ if getattr(gpu, name) is None] == []
    assert (gpu.name, gpu.capability, gpu.memory_total) == ("NVIDIA GeForce RTX 3090", (8, 6), 24 * 2**30)
    assert (gpu.power, gpu.power_limit, gpu.power_limit_default, gpu.power_limit_max) == (21.5, 250, 350, 400)
    assert (gpu.clock_sm, gpu.clock_sm_max, gpu.clock_memory, gpu.clock_memory_max) == (210, 2100, 405, 9751)
    assert (gpu.temperature, gpu.temperature_slowdown, gpu.persistence) == (61.0, 95.0, True)
    assert gpu.clock_reasons == ("sw_power_cap", "sw_thermal_slowdown")
    assert gpu.processes is not None
    assert gpu.processes[0].memory_used == 2 * 2**30
    # The path of somebody's program does not tell who that is.
    assert gpu.processes[0].name == "~/program-4711"


def test_several_cards(tmp_path: Path) -> None:
    facts = ask(build_fake_nvml(tmp_path, RTX_3090 + TESLA_P40 + RTX_3090), tmp_path)
    assert facts.gpus is not None
    assert [(gpu.index, gpu.capability) for gpu in facts.gpus] == [(0, (8, 6)), (1, (6, 1)), (2, (8, 6))]


def test_an_old_driver_leaves_fields_unread(tmp_path: Path) -> None:
    missing = (
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetComputeRunningProcesses_v2",
        "nvmlDeviceGetPersistenceMode",
    )
    facts = ask(build_fake_nvml(tmp_path, RTX_3090, without=missing), tmp_path)
    assert facts.gpus is not None
    (gpu,) = facts.gpus
    assert (gpu.mig_enabled, gpu.mig_devices, gpu.processes, gpu.persistence) == (None, None, None, None)
    assert gpu.name == "NVIDIA GeForce RTX 3090"
    names = ("mig_enabled", "mig_devices", "processes", "persistence")
    assert set(unread(facts)) == {f"gpus[0].{name}" for name in names}


def test_the_process_list_of_a_driver_before_510(tmp_path: Path) -> None:
    scenario = RTX_3090 + "process 4711 2147483648\nprocess 4712 18446744073709551615\n"
    without = ("nvmlDeviceGetComputeRunningProcesses_v3",)
    facts = ask(build_fake_nvml(tmp_path, scenario, without=without), tmp_path)
    assert facts.gpus is not None and facts.gpus[0].processes is not None
    # Under Windows' driver model nobody knows what a process holds: NVML answers with all bits set.
    assert [process.memory_used for process in facts.gpus[0].processes] == [2 * 2**30, None]


def test_older_names_of_functions_are_tried(tmp_path: Path) -> None:
    missing = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlSystemGetCudaDriverVersion_v2")
    facts = ask(build_fake_nvml(tmp_path, RTX_3090 + "cuda 11040\n", without=missing), tmp_path)
    assert facts.gpus is not None
    assert facts.gpus[0].clock_reasons == ("sw_power_cap",)
    assert facts.driver.cuda_version == (11, 4)


def test_what_a_card_does_not_support_is_unread_not_zero(tmp_path: Path) -> None:
    facts = ask(build_fake_nvml(tmp_path, "fail nvmlDeviceGetTemperature -1 3\n" + RTX_3090), tmp_path)
    assert facts.gpus is not None
    assert facts.gpus[0].temperature is None
    assert unread(facts) == {"gpus[0].temperature": "Not Supported"}


def test_a_number_that_means_none_is_unread(tmp_path: Path) -> None:
    scenario = (
        RTX_3090
        + "value nvmlDeviceGetMaxPcieLinkWidth 0 4294967295\nvalue nvmlDeviceGetPowerUsage 0 4294967295\n"
    )
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None
    assert (facts.gpus[0].pcie_width_max, facts.gpus[0].power) == (None, None)
    assert unread(facts) == {
        "gpus[0].pcie_width_max": "the driver has no value (N/A)",
        "gpus[0].power": "the driver has no value (N/A)",
    }


def test_memory_that_no_card_has_is_unread(tmp_path: Path) -> None:
    scenario = RTX_3090.replace("25769803776", "18446744073709551615")
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None
    assert facts.gpus[0].memory_total is None
    assert set(unread(facts)) == {"gpus[0].memory_total"}


def test_a_laptop_card_that_supports_little(tmp_path: Path) -> None:
    absent = {
        "nvmlDeviceGetEnforcedPowerLimit": "power_limit",
        "nvmlDeviceGetPowerManagementDefaultLimit": "power_limit_default",
        "nvmlDeviceGetPowerManagementLimitConstraints": "power_limit_max",
        "nvmlDeviceGetEccMode": "ecc_enabled",
        "nvmlDeviceGetTotalEccErrors": "ecc_uncorrected",
        "nvmlDeviceGetMigMode": "mig_enabled",
    }
    scenario = RTX_3090 + "".join(f"fail {function} 0 3\n" for function in absent)
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert unread(facts) == {f"gpus[0].{name}": "Not Supported" for name in absent.values()}
    assert facts.gpus is not None
    assert facts.gpus[0].mig_devices == (), "a card that knows no MIG has no slices"
    assert facts.gpus[0].temperature == 61


def test_a_card_divided_by_mig(tmp_path: Path) -> None:
    scenario = RTX_3090 + "mig 1\nslice MIG 1g.10gb 10737418240\nslice MIG 2g.20gb 21474836480\n" + TESLA_P40
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None and facts.gpus[0].mig_devices is not None
    assert facts.gpus[0].mig_enabled is True
    slices = [(one.name, one.memory_total, one.memory_used) for one in facts.gpus[0].mig_devices]
    assert slices == [("MIG 1g.10gb", 10 * 2**30, 0), ("MIG 2g.20gb", 20 * 2**30, 0)]
    assert (facts.gpus[1].mig_enabled, facts.gpus[1].mig_devices) == (False, ())


def test_a_container_may_not_see_the_whole_of_a_divided_card(tmp_path: Path) -> None:
    scenario = RTX_3090 + "mig 1\nslice MIG 1g.10gb 10737418240\nfail nvmlDeviceGetMaxMigDeviceCount 0 4\n"
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None and facts.gpus[0].mig_devices is None
    assert unread(facts) == {"gpus[0].mig_devices": "Insufficient Permissions"}


def test_a_card_lost_in_the_middle_keeps_what_was_said_before(tmp_path: Path) -> None:
    scenario = RTX_3090 + TESLA_P40 + "lose nvmlDeviceGetCurrPcieLinkWidth 0\n"
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None
    lost, other = facts.gpus
    assert (lost.name, lost.capability, lost.pcie_generation) == ("NVIDIA GeForce RTX 3090", (8, 6), 1)
    assert (lost.pcie_width, lost.temperature, lost.memory_total, lost.processes) == (None, None, None, None)
    assert other.memory_total == 24 * 2**30
    assert {why.lower() for why in unread(facts).values()} == {"gpu is lost"}
    assert all(what.startswith("gpus[0].") for what in unread(facts))


def test_driver_and_library_mismatch(tmp_path: Path) -> None:
    module = tmp_path / "proc/driver/nvidia/version"
    module.parent.mkdir(parents=True)
    module.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 02:12:11 UTC 2025\n"
    )
    facts = ask(build_fake_nvml(tmp_path, "init 18\n"), tmp_path)
    assert facts.gpus is None
    assert "mismatch" in (facts.driver.error or "").lower()
    assert facts.driver.kernel_module_version == "570.124.06"
    assert {"gpus", "driver.version"} <= set(unread(facts))


def test_a_card_lost_between_two_questions_keeps_the_rest(tmp_path: Path) -> None:
    scenario = RTX_3090 + "fail nvmlDeviceGetMemoryInfo 0 15\nfail nvmlDeviceGetUUID 0 15\n" + TESLA_P40
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path)
    assert facts.gpus is not None
    assert facts.gpus[0].memory_total is None
    assert facts.gpus[1].memory_total == 24 * 2**30
    assert unread(facts)["gpus[0].memory_total"].lower() == "gpu is lost"


def test_a_hang_ends_at_the_deadline_and_keeps_what_was_read(tmp_path: Path) -> None:
    scenario = RTX_3090 + TESLA_P40 + "hang nvmlDeviceGetMemoryInfo 1\n"
    facts = ask(build_fake_nvml(tmp_path, scenario), tmp_path, deadline=1.5)
    assert facts.gpus is not None
    assert [gpu.index for gpu in facts.gpus] == [0]
    assert facts.driver.version == "580.65.06"
    assert "did not answer" in unread(facts)["gpus[1:]"]
    assert "did not answer" in (facts.driver.error or "")


def test_a_hang_at_the_start_leaves_the_cards_unknown(tmp_path: Path) -> None:
    facts = ask(build_fake_nvml(tmp_path, RTX_3090 + "hang nvmlInitWithFlags -1\n"), tmp_path, deadline=1.0)
    assert facts.gpus is None
    assert "did not answer" in unread(facts)["gpus"]


def test_a_crash_of_the_driver_library_is_a_fact(tmp_path: Path) -> None:
    facts = ask(build_fake_nvml(tmp_path, RTX_3090 + "crash nvmlDeviceGetName 0\n"), tmp_path)
    assert facts.gpus is None
    assert "signal 11" in (facts.driver.error or "")


def test_a_driver_without_cards(tmp_path: Path) -> None:
    assert ask(build_fake_nvml(tmp_path, ""), tmp_path).gpus == ()


@pytest.mark.parametrize(("mark", "gpus"), [(None, ()), ("dev/dxg", None), ("dev/nvidiactl", None)])
def test_no_library(tmp_path: Path, mark: str | None, gpus: tuple[Gpu, ...] | None) -> None:
    devices = tmp_path / "sys/bus/pci/devices/0000:00:00.0"
    devices.mkdir(parents=True)
    if mark:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    facts = ask(dict(os.environ), tmp_path)
    if facts.driver.library_found:
        pytest.skip("this machine has an NVIDIA driver")
    assert facts.gpus == gpus
    assert ("gpus" in unread(facts)) == (gpus is None)


def test_pci_devices_are_counted_by_vendor_and_class(tmp_path: Path) -> None:
    for number, (vendor, kind) in enumerate(
        [("0x10de", "0x030000"), ("0x10de", "0x040300"), ("0x1002", "0x030000"), ("0x10de", "0x030200")]
    ):
        device = tmp_path / f"0000:0{number}:00.0"
        device.mkdir()
        (device / "vendor").write_text(vendor + "\n")
        (device / "class").write_text(kind + "\n")
    assert count_pci_devices(tmp_path) == 2
    assert count_pci_devices(tmp_path / "none") is None


def test_module_version_of_both_kinds_of_module() -> None:
    closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (root@x)\n"
    assert parse_module_version(closed) == "535.183.01"
    assert parse_module_version(opened) == "580.65.06"


@given(st.text())
def test_any_text_is_a_module_version_or_none(text: str) -> None:
    found = parse_module_version("NVRM version: " + text)
    assert found is None or found in text


@given(st.binary())
def test_any_output_of_the_child_is_a_list_of_objects(output: bytes) -> None:
    good = json.dumps({"cards": 1}).encode()
    assert parse_lines(output + b"\n" + good + b"\n")[-1] == {"cards": 1}
