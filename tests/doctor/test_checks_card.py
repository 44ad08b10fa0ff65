"""Checks of torch, driver, architecture, visibility, memory of the card: each fires, and each stays
silent."""

from dataclasses import replace

import pytest
from machines import ALL_SINCE_TURING, CPU_ONLY, HEALTHY, RTX_3060, ask, changed, with_gpu, with_packages

from doctor.checks import (
    architecture,
    driver,
    driver_age,
    no_gpu,
    precision,
    python,
    torch_build,
    visibility,
    vram,
)
from doctor.facts import Driver, Facts, Gpu, GpuProcess, TorchBuild, Unread
from doctor.finding import Finding, Severity
from doctor.sizes import GIB


def torch(version: str, cuda: str | None, *architectures: str) -> TorchBuild:
    return TorchBuild(version=version, cuda=cuda, architectures=architectures or None)


def commands(finding: Finding) -> str:
    return "\n".join(finding.remedy.commands) if finding.remedy else ""


# python


def test_python() -> None:
    assert ask(python.CHECK, HEALTHY) == {}
    found = ask(python.CHECK, changed(HEALTHY, python={"bits": 32}))
    assert found["python-32bit"].severity is Severity.ERROR
    new = changed(HEALTHY, python={"version": "3.16.0"})
    assert ask(python.CHECK, new) == {}, "torch is installed, so there was a wheel"
    found = ask(python.CHECK, replace(new, torch=None))
    assert found["python-no-wheel"].title == "There is no torch wheel for Python 3.16."
    assert ask(python.CHECK, replace(HEALTHY, torch=None)) == {}


# torch-build


def test_torch_missing() -> None:
    facts = with_packages(replace(HEALTHY, torch=None), without=("torch",))
    finding = ask(torch_build.CHECK, facts)["torch-missing"]
    assert finding.severity is Severity.ERROR
    assert "--index-url https://download.pytorch.org/whl/cu130" in commands(finding)
    on_cpu = ask(torch_build.CHECK, replace(CPU_ONLY, torch=None))["torch-missing"]
    assert commands(on_cpu).endswith("--index-url https://download.pytorch.org/whl/cpu")


def test_torch_unknown_is_not_missing() -> None:
    found = ask(torch_build.CHECK, replace(HEALTHY, torch=None, packages=None))
    assert found["torch-build"].severity is Severity.UNKNOWN


def test_cpu_only_torch_beside_a_card() -> None:
    facts = replace(HEALTHY, torch=torch("2.13.0+cpu", None))
    finding = ask(torch_build.CHECK, facts)["cpu-only-torch"]
    assert finding.severity is Severity.ERROR
    assert finding.title == (
        "The installed torch 2.13.0+cpu is a CPU build, which leaves NVIDIA GeForce RTX 3060 unused."
    )
    assert commands(finding).splitlines() == [
        "python -m pip uninstall -y torch",
        "python -m pip install torch --index-url https://download.pytorch.org/whl/cu130",
    ]


def test_cpu_only_torch_beside_an_old_driver_needs_the_driver_first() -> None:
    facts = changed(replace(HEALTHY, torch=torch("2.13.0+cpu", None)), driver={"version": "470.182.03"})
    finding = ask(torch_build.CHECK, facts)["cpu-only-torch"]
    assert finding.remedy
    assert "driver 580" in finding.remedy.text
    assert commands(finding).endswith("install torch --index-url https://download.pytorch.org/whl/cu130")


def test_an_old_python_needs_a_new_environment_first() -> None:
    facts = changed(replace(HEALTHY, torch=torch("1.8.1+cpu", None)), python={"version": "3.8.16"})
    finding = ask(torch_build.CHECK, facts)["cpu-only-torch"]
    assert finding.remedy
    assert "This Python (3.8) is too old" in finding.remedy.text


def test_cpu_only_torch_beside_a_card_that_no_build_serves() -> None:
    facts = with_gpu(replace(HEALTHY, torch=torch("2.13.0+cpu", None)), name="Tesla K80", capability=(3, 7))
    finding = ask(torch_build.CHECK, facts)["cpu-only-torch"]
    assert finding.remedy
    assert "newer card" in finding.remedy.text
    assert not finding.remedy.commands


def test_cpu_only_torch_beside_a_card_that_only_the_bus_shows() -> None:
    facts = changed(replace(CPU_ONLY, gpus=None), driver={"pci_devices": 1})
    finding = ask(torch_build.CHECK, facts)["cpu-only-torch"]
    assert "cu130" in commands(finding)
    assert "cu126" in commands(finding)


@pytest.mark.parametrize(
    "facts", [HEALTHY, CPU_ONLY, changed(replace(CPU_ONLY, gpus=None), host={"os": "Darwin"})]
)
def test_a_torch_that_fits(facts: Facts) -> None:
    assert {name: one.severity for name, one in ask(torch_build.CHECK, facts).items()} == {
        "torch-build": Severity.OK
    }


def test_cpu_torch_where_nothing_tells_about_cards() -> None:
    facts = replace(CPU_ONLY, gpus=None, driver=Driver())
    assert ask(torch_build.CHECK, facts)["torch-build"].severity is Severity.UNKNOWN


# driver


def broken(**fields: object) -> Facts:
    return replace(HEALTHY, gpus=None, driver=Driver(**{"library_found": True, "pci_devices": 1, **fields}))  # type: ignore[arg-type]


def test_driver() -> None:
    assert ask(driver.CHECK, HEALTHY) == {}
    assert ask(driver.CHECK, CPU_ONLY) == {}


@pytest.mark.parametrize(
    ("facts", "cause", "says"),
    [
        (broken(error="Driver/library version mismatch"), "nvml-mismatch", "sudo reboot"),
        (broken(error="Driver Not Loaded"), "no-driver", "sudo modprobe nvidia"),
        (broken(error="Driver Not Loaded", nouveau_loaded=True), "no-driver", "ubuntu-drivers"),
        (broken(error="GPU is lost"), "driver-error", "xid"),
        (broken(library_found=False), "no-driver", "ubuntu-drivers"),
        (broken(library_found=False, nouveau_loaded=True), "no-driver", "ubuntu-drivers"),
        (changed(broken(library_found=False), host={"container": "docker"}), "docker-no-gpu", "--gpus all"),
        (changed(broken(error="Unknown Error"), host={"container": "docker"}), "driver-error", "--gpus all"),
    ],
)
def test_a_driver_that_does_not_answer(facts: Facts, cause: str, says: str) -> None:
    found = ask(driver.CHECK, facts)
    assert list(found) == [cause]
    assert found[cause].severity is Severity.ERROR
    assert says in commands(found[cause])


def test_a_driver_that_hangs_on_the_second_card() -> None:
    facts = changed(HEALTHY, driver={"error": "it did not answer within 10 s"})
    finding = ask(driver.CHECK, facts)["driver-error"]
    assert finding.title == "The NVIDIA driver does not work: it did not answer within 10 s."


def test_a_lost_card() -> None:
    unread = (Unread(what="gpus[1].name", why="GPU is lost"), Unread(what="gpus[1].uuid", why="GPU is lost"))
    finding = ask(driver.CHECK, replace(HEALTHY, unread=unread))["gpu-lost"]
    assert finding.title == "The driver lost a card while it was asked (gpus[1])."
    assert (
        ask(driver.CHECK, replace(HEALTHY, unread=(Unread(what="gpus[0].ecc", why="Not Supported"),))) == {}
    )


def test_nouveau_is_named() -> None:
    finding = ask(driver.CHECK, broken(library_found=False, nouveau_loaded=True))["no-driver"]
    assert finding.title == "The card is driven by nouveau, which has no CUDA."
    assert finding.evidence["driver.nouveau_loaded"] is True


# driver-age


@pytest.mark.parametrize(
    ("version", "cuda", "os", "old"),
    [
        ("580.65.06", "13.2", "Linux", False),
        ("575.57.08", "13.0", "Linux", True),
        (
            "525.60.13",
            "12.8",
            "Linux",
            False,
        ),  # minor-version compatibility: CUDA 12.0's driver runs CUDA 12.8
        ("551.78", "12.8", "Windows", False),
        ("470.223.02", "12.1", "Linux", True),
        ("470.223.02", "11.8", "Linux", False),
        ("528.02", "12.1", "Windows", True),
    ],
)
def test_driver_age(version: str, cuda: str, os: str, old: bool) -> None:
    facts = changed(
        replace(HEALTHY, torch=torch("2.9.0", cuda)), driver={"version": version}, host={"os": os}
    )
    found = ask(driver_age.CHECK, facts)
    assert list(found) == ["driver-too-old" if old else "driver-age"]


def test_an_old_driver_has_two_ways_out() -> None:
    finding = ask(driver_age.CHECK, changed(HEALTHY, driver={"version": "550.54.14"}))["driver-too-old"]
    assert "sudo ubuntu-drivers install" in commands(finding)
    assert "--index-url https://download.pytorch.org/whl/cu126" in commands(finding)


def test_inside_wsl_the_driver_is_that_of_windows() -> None:
    facts = changed(HEALTHY, driver={"version": "551.78"}, host={"wsl": True})
    finding = ask(driver_age.CHECK, facts)["driver-too-old"]
    assert finding.evidence["oldest driver"] == "580.88"
    assert finding.remedy is not None
    assert "Windows" in finding.remedy.text


@pytest.mark.parametrize("version", [None, "not a version"])
def test_a_driver_of_unknown_age(version: str | None) -> None:
    found = ask(driver_age.CHECK, changed(HEALTHY, driver={"version": version}))
    assert found["driver-age"].severity is Severity.UNKNOWN


def test_no_card_or_no_cuda_has_no_driver_age() -> None:
    assert ask(driver_age.CHECK, CPU_ONLY) == {}


# architecture


@pytest.mark.parametrize(
    ("capability", "name", "build", "cause", "index"),
    [
        ((12, 0), "RTX 5090", torch("2.5.1+cu121", "12.1", "sm_50", "sm_90"), "arch-not-in-wheel", "cu130"),
        ((12, 0), "RTX 5090", torch("2.14.1+cu126", "12.6"), "arch-not-in-wheel", "cu130"),
        ((6, 1), "GTX 1080", torch("2.13.0+cu130", "13.0", *ALL_SINCE_TURING), "arch-dropped", "cu126"),
        ((7, 0), "V100", torch("2.11.0+cu128", "12.8"), "arch-dropped", "cu126"),
        ((3, 5), "Tesla K40", torch("2.13.0+cu130", "13.0", *ALL_SINCE_TURING), "gpu-too-old", ""),
    ],
)  # fmt: skip
def test_a_card_without_code(
    capability: tuple[int, int], name: str, build: TorchBuild, cause: str, index: str
) -> None:
    finding = ask(
        architecture.CHECK, replace(with_gpu(HEALTHY, capability=capability, name=name), torch=build)
    )[cause]
    assert finding.severity is Severity.ERROR
    assert name in finding.title
    assert index in commands(finding)


@pytest.mark.parametrize(
    ("capability", "build"),
    [
        ((8, 9), torch("2.13.0+cu130", "13.0", *ALL_SINCE_TURING)),  # sm_86 code runs on an RTX 40
        ((12, 1), torch("2.13.0+cu130", "13.0", *ALL_SINCE_TURING)),
        ((6, 1), torch("2.14.1+cu126", "12.6")),
        ((9, 0), torch("2.8.0", "12.8", "sm_80", "compute_80")),  # PTX
    ],
)
def test_a_card_with_code(capability: tuple[int, int], build: TorchBuild) -> None:
    found = ask(architecture.CHECK, replace(with_gpu(HEALTHY, capability=capability), torch=build))
    assert {name: one.severity for name, one in found.items()} == {"architecture": Severity.OK}


def test_two_cards_of_which_one_has_no_code() -> None:
    old = Gpu(index=1, name="Tesla P40", capability=(6, 1))
    found = ask(architecture.CHECK, replace(HEALTHY, gpus=(RTX_3060, old)))
    assert set(found) == {"arch-dropped", "architecture"}
    assert "Tesla P40" in found["arch-dropped"].title
    assert found["architecture"].title.endswith("RTX 3060.")


@pytest.mark.parametrize(
    "facts",
    [
        with_gpu(HEALTHY, capability=None),
        replace(HEALTHY, torch=torch("9.9.0", "13.0")),
        changed(replace(HEALTHY, torch=torch("2.13.0", "13.0")), host={"machine": "aarch64"}),
    ],
)
def test_architecture_unknown(facts: Facts) -> None:
    assert ask(architecture.CHECK, facts)["architecture"].severity is Severity.UNKNOWN


# visibility


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        (None, None),
        ("0", None),
        ("GPU-aaaaaaaa", None),
        ("MIG-1234", None),
        ("", Severity.ERROR),
        ("-1", Severity.ERROR),
        ("3", Severity.ERROR),
        ("0,0", Severity.ERROR),
        ("GPU-ffffffff", Severity.ERROR),
        ("0,7", Severity.WARNING),
    ],
)
def test_cuda_visible_devices(value: str | None, severity: Severity | None) -> None:
    environment = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    facts = with_gpu(replace(HEALTHY, environment=environment), uuid="GPU-aaaaaaaa-1", mig_enabled=None)
    found = ask(visibility.CHECK, facts)
    assert [one.severity for one in found.values()] == ([] if severity is None else [severity])


def test_choosing_one_of_two_cards_is_only_a_remark() -> None:
    facts = replace(
        HEALTHY, gpus=(RTX_3060, replace(RTX_3060, index=1)), environment={"CUDA_VISIBLE_DEVICES": "1"}
    )
    finding = ask(visibility.CHECK, facts)["cuda-visible-devices"]
    assert finding.severity is Severity.NOTE
    assert "1 of 2 cards" in finding.title


def test_on_windows_the_variable_is_unset_as_windows_does_it() -> None:
    facts = changed(replace(HEALTHY, environment={"CUDA_VISIBLE_DEVICES": "-1"}), host={"os": "Windows"})
    assert commands(ask(visibility.CHECK, facts)["cuda-visible-devices"]) == "set CUDA_VISIBLE_DEVICES="


# no-gpu


def test_no_gpu() -> None:
    finding = ask(no_gpu.CHECK, CPU_ONLY)["no-gpu"]
    assert finding.severity is Severity.NOTE
    assert finding.remedy is not None
    assert "256 to 384 pixels" in finding.remedy.text
    assert ask(no_gpu.CHECK, HEALTHY) == {}
    assert ask(no_gpu.CHECK, changed(CPU_ONLY, driver={"pci_devices": 1})) == {}
    assert ask(no_gpu.CHECK, changed(CPU_ONLY, host={"os": "Darwin"})) == {}
    assert ask(no_gpu.CHECK, changed(CPU_ONLY, torch={"hip": "7.1"})) == {}
    assert ask(no_gpu.CHECK, replace(CPU_ONLY, gpus=None))["no-gpu"].severity is Severity.UNKNOWN


# vram


@pytest.mark.parametrize(
    ("total", "size"),
    [
        (2 * GIB, 0),
        (int(3.9 * GIB), 4),
        (6 * GIB, 4),
        (int(7.6 * GIB), 8),
        (11 * GIB, 8),
        (int(11.6 * GIB), 12),
        (24 * GIB, 12),
    ],
)
def test_vram_tier(total: int, size: int) -> None:
    finding = ask(vram.CHECK, with_gpu(HEALTHY, memory_total=total))["vram-tier"]
    assert finding.evidence["tier_gib"] == size
    assert finding.severity is (Severity.OK if size == 12 else Severity.NOTE)


def test_vram_held_by_others() -> None:
    holder = GpuProcess(pid=4711, name="~/game", memory_used=5 * GIB)
    finding = ask(vram.CHECK, with_gpu(HEALTHY, memory_used=6 * GIB, processes=(holder,)))["vram-held"]
    assert finding.severity is Severity.WARNING
    assert finding.title == (
        "6.00 GiB of the 12.00 GiB of NVIDIA GeForce RTX 3060 are already held by ~/game (pid 4711, 5.00 "
        "GiB)."
    )
    assert "vram-held" in ask(vram.CHECK, with_gpu(HEALTHY, memory_used=6 * GIB, processes=None))


@pytest.mark.parametrize("used", [0, 900 * 2**20, 2 * GIB])
def test_a_desktop_does_not_count_as_others(used: int) -> None:
    assert set(ask(vram.CHECK, with_gpu(HEALTHY, memory_used=used))) == {"vram-tier"}


@pytest.mark.parametrize("field", ["memory_total", "memory_used"])
def test_vram_unknown(field: str) -> None:
    assert ask(vram.CHECK, with_gpu(HEALTHY, **{field: None}))["vram"].severity is Severity.UNKNOWN


# precision


def test_gtx_16() -> None:
    found = ask(precision.CHECK, with_gpu(HEALTHY, name="NVIDIA GeForce GTX 1660 SUPER", capability=(7, 5)))
    assert {name: one.severity for name, one in found.items()} == {"fp16-nan-gtx16xx": Severity.WARNING}


@pytest.mark.parametrize(
    ("name", "capability"),
    [("NVIDIA GeForce RTX 2060", (7, 5)), ("Tesla T4", (7, 5)), ("NVIDIA GeForce GTX 1080", (6, 1))],
)
def test_cards_before_ampere_have_no_bf16(name: str, capability: tuple[int, int]) -> None:
    found = ask(precision.CHECK, with_gpu(HEALTHY, name=name, capability=capability))
    assert {name: one.severity for name, one in found.items()} == {"bf16-unsupported": Severity.NOTE}


def test_ampere_has_no_trouble() -> None:
    assert ask(precision.CHECK, HEALTHY) == {}


def test_processor_with_and_without_bf16() -> None:
    assert list(ask(precision.CHECK, CPU_ONLY)) == ["cpu-bf16"]
    assert list(ask(precision.CHECK, changed(CPU_ONLY, cpu={"flags": ("avx2",)}))) == ["cpu-no-bf16"]
    found = ask(precision.CHECK, changed(CPU_ONLY, cpu={"flags": None}))
    assert found["precision"].severity is Severity.UNKNOWN
