"""Checks of packages, memory, threads and disks: each fires, and each stays silent."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import CPU_ONLY, HEALTHY, ask, changed, package, with_packages

from doctor.checks import companions, host_memory, requirements, storage, threads, xformers
from doctor.facts import Disk, Facts, TorchBuild
from doctor.finding import Finding, Severity
from doctor.sizes import GIB


def commands(finding: Finding) -> str:
    return "\n".join(finding.remedy.commands) if finding.remedy else ""


# requirements


def test_packages_that_fit() -> None:
    assert ask(requirements.CHECK, HEALTHY) == {}


def test_a_stack_that_does_not_fit() -> None:
    facts = with_packages(HEALTHY, package("huggingface-hub", "0.30.0"), without=("transformers",))
    finding = ask(requirements.CHECK, facts)["hf-version-conflict"]
    assert finding.severity is Severity.ERROR
    assert finding.title == (
        "diffusers 0.42.1 requires huggingface-hub<3.0,>=1.32.0, but huggingface-hub 0.30.0 is installed."
    )
    assert 'install "huggingface-hub<3.0,>=1.32.0"' in commands(finding)


def test_a_requirement_that_is_not_installed() -> None:
    found = ask(requirements.CHECK, with_packages(HEALTHY, without=("huggingface-hub", "transformers")))
    assert found["hf-version-conflict"].severity is Severity.WARNING


def test_cached_download() -> None:
    old = package("diffusers", "0.27.2")
    facts = with_packages(HEALTHY, old, package("huggingface-hub", "0.26.0"), without=("transformers",))
    finding = ask(requirements.CHECK, facts)["hf-version-conflict"]
    assert "cached_download" in finding.cause
    fine = with_packages(HEALTHY, old, package("huggingface-hub", "0.25.2"), without=("transformers",))
    assert ask(requirements.CHECK, fine) == {}


def test_torchvision_of_another_torch() -> None:
    facts = with_packages(HEALTHY, package("torchvision", "0.24.0", "numpy", "torch==2.9.0"))
    finding = ask(requirements.CHECK, facts)["torchvision-mismatch"]
    assert finding.severity is Severity.ERROR
    assert commands(finding).endswith("torch torchvision --index-url https://download.pytorch.org/whl/cu130")
    pair = with_packages(HEALTHY, package("torchvision", "0.28.0", "torch==2.13.0"))
    assert ask(requirements.CHECK, pair) == {}, "a local version such as +cu130 satisfies =="


@pytest.mark.parametrize(
    ("requirement", "os", "fires"),
    [
        ('torch<2; sys_platform == "win32"', "Linux", False),
        ('torch<2; sys_platform == "win32"', "Windows", True),
        ('torch<2; python_version < "3.12"', "Linux", False),
        ('torch<2; python_version >= "3.12"', "Linux", True),
        ('torch<2; extra == "old"', "Linux", False),
        ("torch<2; nonsense ==", "Linux", False),
        ("requests>99", "Linux", False),
    ],
)
def test_markers_are_those_of_the_machine_in_the_facts(requirement: str, os: str, fires: bool) -> None:
    facts = with_packages(changed(HEALTHY, host={"os": os}), package("peft", "0.17.0", requirement))
    assert list(ask(requirements.CHECK, facts)) == (["requirement-conflict"] if fires else [])


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_metadata_crash_the_check(requirement: str, version: str) -> None:
    facts = with_packages(HEALTHY, package("peft", version, requirement, f"torch{requirement}"))
    assert requirements.CHECK.name not in {
        finding.id for finding in requirements.run(facts) if "exception" in finding.evidence
    }


# companions


def test_accelerate() -> None:
    assert ask(companions.CHECK, HEALTHY) == {}
    finding = ask(companions.CHECK, with_packages(HEALTHY, without=("accelerate",)))["accelerate-missing"]
    assert finding.severity is Severity.WARNING
    assert commands(finding) == "python -m pip install --upgrade accelerate"
    assert ask(companions.CHECK, with_packages(HEALTHY, without=("accelerate", "diffusers"))) == {}


@pytest.mark.parametrize(
    ("numpy", "torch", "fires"),
    [
        ("2.0.1", "2.2.2+cu121", True),
        ("1.26.4", "2.2.2", False),
        ("2.0.1", "2.3.0", False),
        ("2.4.6", "2.13.0", False),
    ],
)
def test_numpy_2(numpy: str, torch: str, fires: bool) -> None:
    facts = with_packages(replace(HEALTHY, torch=TorchBuild(version=torch)), package("numpy", numpy))
    assert ("numpy-abi" in ask(companions.CHECK, facts)) is fires


# xformers


STABLE = package(
    "xformers", "0.0.35", "torch>=2.10", "numpy", torch="2.10.0+cu128", cuda="12.8", python="3.10.19"
)
PINNED = package(
    "xformers", "0.0.33.post2", "torch==2.9.1", torch="2.9.1+cu128", cuda="12.8", python="3.10.19"
)


@pytest.mark.parametrize(
    ("xf", "torch", "fits"),
    [
        (STABLE, TorchBuild(version="2.10.0+cu128", cuda="12.8"), True),
        # One build for every torch from 2.10 on, as long as the CUDA runtime is of the same major version.
        (STABLE, TorchBuild(version="2.13.0+cu126", cuda="12.6"), True),
        (STABLE, TorchBuild(version="2.13.0+cu130", cuda="13.0"), False),
        (STABLE, TorchBuild(version="2.13.0+cpu"), False),
        (STABLE, TorchBuild(version="2.9.1+cu128", cuda="12.8"), False),
        (PINNED, TorchBuild(version="2.9.1+cu128", cuda="12.8"), True),
        (PINNED, TorchBuild(version="2.9.1+cu126", cuda="12.6"), True),
        (PINNED, TorchBuild(version="2.9.0+cu128", cuda="12.8"), False),
        (PINNED, TorchBuild(version="2.10.0+cu128", cuda="12.8"), False),
    ],
)
def test_xformers(xf: object, torch: TorchBuild, fits: bool) -> None:
    found = ask(xformers.CHECK, with_packages(replace(HEALTHY, torch=torch), xf))  # type: ignore[arg-type]
    wanted = {"xformers-not-needed": Severity.NOTE} if fits else {"xformers-mismatch": Severity.WARNING}
    assert {name: one.severity for name, one in found.items()} == wanted


def test_xformers_with_a_cpu_torch_says_what_it_was_built_for() -> None:
    finding = ask(xformers.CHECK, with_packages(CPU_ONLY, STABLE))["xformers-mismatch"]
    assert finding.title == (
        "xformers 0.0.35 (built for torch 2.10.0+cu128) cannot use its extensions with torch 2.13.0+cpu."
    )
    assert commands(finding) == "python -m pip uninstall -y xformers"


def test_no_xformers_is_no_fault() -> None:
    assert ask(xformers.CHECK, HEALTHY) == {}


# threads


@pytest.mark.parametrize(
    ("cpu", "omp", "cause"),
    [
        ({}, None, None),
        ({}, "8", None),
        ({"quota_cores": 2.5}, None, "threads-over-quota"),
        ({"quota_cores": 2.5}, "2", None),
        ({"quota_cores": 2.5}, "3", "threads-over-quota"),
        ({"quota_cores": 0.5}, "1", None),
        ({"quota_cores": 16.0}, None, None),
        ({}, "64", "omp-threads"),
        ({}, "1", "omp-threads"),
        ({"usable_cores": 2}, "1", None),
        ({"usable_cores": 2}, None, None),
        ({}, "many", None),
        ({}, "4,2", None),
    ],
)
def test_threads(cpu: dict[str, object], omp: str | None, cause: str | None) -> None:
    facts = changed(replace(CPU_ONLY, environment={"OMP_NUM_THREADS": omp} if omp else {}), cpu=cpu)
    assert list(ask(threads.CHECK, facts)) == ([cause] if cause else [])


def test_the_quota_is_rounded_down() -> None:
    finding = ask(threads.CHECK, changed(CPU_ONLY, cpu={"quota_cores": 2.9}))["threads-over-quota"]
    assert commands(finding) == "export OMP_NUM_THREADS=2"


def test_one_thread_does_not_matter_beside_a_card() -> None:
    assert ask(threads.CHECK, replace(HEALTHY, environment={"OMP_NUM_THREADS": "1"})) == {}


@pytest.mark.parametrize("driver", ["intel_pstate", "amd-pstate-epp", "amd_pstate_epp"])
def test_powersave_of_a_driver_that_speeds_up_under_load_is_normal(driver: str) -> None:
    assert (
        ask(threads.CHECK, changed(CPU_ONLY, cpu={"governor": "powersave", "scaling_driver": driver})) == {}
    )


@pytest.mark.parametrize("driver", ["acpi-cpufreq", "intel_cpufreq", "amd-pstate"])
def test_powersave_of_another_driver_is_the_lowest_clock(driver: str) -> None:
    facts = changed(CPU_ONLY, cpu={"governor": "powersave", "scaling_driver": driver})
    finding = ask(threads.CHECK, facts)["governor-powersave"]
    assert driver in finding.title
    assert "scaling_driver" not in commands(finding)


def test_powersave_of_an_unknown_driver_leaves_the_question_to_a_command() -> None:
    finding = ask(threads.CHECK, changed(CPU_ONLY, cpu={"governor": "powersave"}))["governor-powersave"]
    assert "scaling_driver" in commands(finding)


def test_low_priority() -> None:
    assert (
        ask(threads.CHECK, changed(CPU_ONLY, cpu={"niceness": 10}))["low-priority"].severity
        is Severity.WARNING
    )
    assert (
        ask(threads.CHECK, changed(HEALTHY, cpu={"niceness": 10}))["low-priority"].severity is Severity.NOTE
    )
    assert ask(threads.CHECK, changed(CPU_ONLY, cpu={"niceness": -5})) == {}


# host-memory


@pytest.mark.parametrize(
    ("memory", "severity"),
    [
        ({"available": 9 * GIB}, None),
        ({"available": 6 * GIB}, Severity.NOTE),
        ({"available": 2 * GIB}, Severity.WARNING),
        ({"limit": 4 * GIB, "limit_used": GIB}, Severity.WARNING),
        ({"limit": 16 * GIB, "limit_used": GIB}, None),
    ],
)
def test_main_memory(memory: dict[str, int], severity: Severity | None) -> None:
    found = ask(host_memory.CHECK, changed(HEALTHY, memory=memory))
    assert [one.severity for one in found.values()] == ([severity] if severity else [])


def test_the_limit_of_a_container_is_named() -> None:
    finding = ask(host_memory.CHECK, changed(HEALTHY, memory={"limit": 4 * GIB, "limit_used": GIB}))[
        "ram-low"
    ]
    assert finding.title == "Only 3.00 GiB of main memory can be had (of 4.00 GiB, a limit)."


def test_swap_counts_only_while_memory_is_short() -> None:
    assert ask(host_memory.CHECK, changed(HEALTHY, memory={"swap_used": 6 * GIB})) == {}
    short = ask(host_memory.CHECK, changed(HEALTHY, memory={"swap_used": 6 * GIB, "available": 3 * GIB}))
    assert set(short) == {"ram-low", "swap-in-use"}


# storage


def test_storage() -> None:
    def disk(free: int | None, purpose: str = "model cache") -> Facts:
        return replace(HEALTHY, disks=(Disk(purpose=purpose, path="~/x", free=free, total=500 * GIB),))

    assert ask(storage.CHECK, disk(50 * GIB)) == {}
    finding = ask(storage.CHECK, disk(3 * GIB))["disk-nearly-full"]
    assert finding.severity is Severity.WARNING
    assert finding.title == "Only 3.00 GiB are free for the model cache (~/x)."
    assert "HF_HOME" in commands(finding)
    assert ask(storage.CHECK, disk(3 * GIB, "sdoctor data")) == {}
    assert "disk-nearly-full" in ask(storage.CHECK, disk(GIB // 8, "sdoctor data"))
    assert ask(storage.CHECK, disk(None))["storage"].severity is Severity.UNKNOWN
