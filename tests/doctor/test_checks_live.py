"""The checks of the live probes: what fires them, what keeps them silent, and how sure they may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live_machines import (
    LIVE_CARD,
    LIVE_CPU,
    attention,
    but,
    cpu_rate,
    crashed,
    disk,
    failed,
    gpu_copy,
    gpu_rate,
    hung,
    memory,
    probe,
)
from machines import CPU_ONLY, HEALTHY, ask, changed, with_gpu

from doctor.check import examine
from doctor.checks import CHECKS, live
from doctor.checks.live import attention as attention_check
from doctor.checks.live import compiler, cpu_rates, cuda, endings, figures, gpu_rates, imports
from doctor.checks.live import disk as disk_check
from doctor.facts import Facts, ProbeOutcome
from doctor.finding import Severity
from doctor.reports.messages import messages_in


@pytest.mark.parametrize("facts", [LIVE_CARD, LIVE_CPU])
def test_a_healthy_machine_has_no_warning(facts: Facts) -> None:
    found = {one.id: one.severity for one in examine(facts, live.CHECKS).findings}
    assert found == {"live-figures": Severity.OK}


@pytest.mark.parametrize("facts", [HEALTHY, CPU_ONLY, Facts()])
def test_without_probes_nothing_is_said(facts: Facts) -> None:
    assert examine(facts, live.CHECKS).findings == ()


def test_probes_that_do_not_apply_are_no_fault() -> None:
    none = tuple(
        replace(one, outcome=ProbeOutcome.NOT_APPLICABLE, values=(), error="no")
        for one in LIVE_CARD.probes or ()
    )
    assert examine(replace(LIVE_CARD, probes=none), live.CHECKS).findings == ()


# imports


def test_the_real_error_is_quoted() -> None:
    facts = but(LIVE_CARD, failed("import-torch", "OSError: libcudart.so.13: no\nImportError: torch"))
    finding = ask(imports.CHECK, facts)["torch-import-fails"]
    assert finding.severity is Severity.ERROR
    assert finding.title == 'torch is installed but cannot be imported: "OSError: libcudart.so.13: no".'
    assert "force-reinstall torch" in "".join(finding.remedy.commands if finding.remedy else ())


def test_what_only_follows_from_torch_is_no_second_error() -> None:
    same = "OSError: libcudart.so.13: no"
    facts = but(
        LIVE_CARD, failed("import-torch", same), failed("import-diffusers", f"{same}\nRuntimeError: lazy")
    )
    assert list(ask(imports.CHECK, facts)) == ["torch-import-fails"]
    other = but(facts, failed("import-diffusers", "ImportError: cannot import name 'x'"))
    assert list(ask(imports.CHECK, other)) == ["torch-import-fails", "diffusers-import-fails"]


def test_xformers_can_be_done_without() -> None:
    found = ask(imports.CHECK, but(LIVE_CARD, failed("import-xformers", "x")))
    assert found["xformers-import-fails"].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("OSError: libcudart.so.13: cannot open shared object file: No such file", "cuda-library-missing"),
        ("ImportError: /lib/x86_64-linux-gnu/libm.so.6: version `GLIBC_2.38' not found", "glibc-too-old"),
        (
            "ImportError: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink",
            "cuda-library-clash",
        ),
        ("RuntimeError: operator torchvision::nms does not exist", "torchvision-mismatch"),
        ("ended by SIGILL\nIllegal instruction", "cpu-too-old"),
        ("ended by SIGKILL\nKilled", "ram-exhausted"),
        ("AttributeError: _ARRAY_API not found", "numpy-abi"),
    ],
)
def test_known_words_name_the_cause_beside_it(error: str, cause: str) -> None:
    facts = but(LIVE_CARD, failed("import-torch", error))
    plain = {one.id for one in examine(facts, CHECKS).findings}
    told = {
        one.id
        for one in examine(replace(facts, messages=messages_in(tuple(error.splitlines()))), CHECKS).findings
    }
    assert told - plain == {cause}


# endings


def test_crashes_are_one_finding() -> None:
    facts = but(LIVE_CARD, crashed("attention", "flash"), crashed("gpu-rate"))
    finding = ask(endings.CHECK, facts)["probe-crashed"]
    assert (
        finding.title == "Trying every attention backend, multiplying matrices on the card crashed (SIGSEGV)."
    )
    assert finding.severity is Severity.WARNING
    assert (
        ask(endings.CHECK, but(LIVE_CARD, crashed("import-torch")))["probe-crashed"].severity
        is Severity.ERROR
    )


def test_what_only_follows_from_torch_is_not_counted_again() -> None:
    facts = but(LIVE_CARD, crashed("import-torch"), crashed("attention", "preparing"), hung("cuda-init"))
    found = ask(endings.CHECK, facts)
    assert list(found["probe-crashed"].evidence) == ["import-torch"]
    assert list(found["probe-hung"].evidence) == ["cuda-init"]


def test_errors_that_have_a_check_are_not_named_twice() -> None:
    facts = but(LIVE_CARD, failed("import-torch", "x"), failed("cuda-kernel", "y"))
    assert ask(endings.CHECK, facts) == {}


# cards


def test_launches_and_convolutions_name_the_card() -> None:
    facts = but(
        LIVE_CARD,
        probe("launch-latency", ("launch", 85, "us"), device="cuda:0"),
        probe("fp16-convolution", ("convolutions", 50, "count"), ("not_finite", 7, "count"), device="cuda:0"),
    )
    found = ask(cuda.CHECK, facts)
    assert "85 us" in found["launch-latency-high"].title
    assert found["fp16-nan-conv"].title.startswith("NVIDIA GeForce RTX 3060: 7 of 50 convolutions")


@pytest.mark.parametrize(
    ("figures", "low"),
    [
        ({}, False),
        ({"fp16": 12.6}, True),
        ({"fp16": 12.8}, False),
        ({"bf16": 2.0}, True),
        ({"fp32": 6.0}, True),
        ({"fp32": 6.5}, False),
    ],
)
def test_rates_against_published_ones(figures: dict[str, float], low: bool) -> None:
    assert ("matrix-rate-low" in ask(gpu_rates.CHECK, but(LIVE_CARD, gpu_rate(**figures)))) is low


@pytest.mark.parametrize("name", ["Some Card 9000", "NVIDIA GeForce RTX 9999"])
def test_an_unknown_card_is_not_judged(name: str) -> None:
    result = replace(gpu_rate(fp16=0.1, copy=1.0), notes={"cuda:0": name})
    assert ask(gpu_rates.CHECK, but(LIVE_CARD, result)) == {}


def test_a_card_without_tensor_cores_is_not_held_to_them() -> None:
    pascal = replace(
        gpu_rate(fp32=6.8, fp16=0.12, bf16=1.0, copy=260.0), notes={"cuda:0": "NVIDIA GeForce GTX 1080"}
    )
    assert ask(gpu_rates.CHECK, but(LIVE_CARD, pascal)) == {}
    turing = replace(
        gpu_rate(fp32=5.5, fp16=20.0, bf16=2.0, copy=400.0), notes={"cuda:0": "NVIDIA GeForce RTX 2070"}
    )
    assert ask(gpu_rates.CHECK, but(LIVE_CARD, turing)) == {}, "bf16 is emulated there"


def test_the_link_is_that_of_card_and_slot() -> None:
    slow = but(LIVE_CARD, gpu_copy(pinned_to_card=6.1, pcie_generation=4, pcie_width=4))
    finding = ask(gpu_rates.CHECK, slow)["copy-rate-low"]
    assert "6.1 GB/s of the 31.5 GB/s" in finding.title
    assert "(generation 4, 4 lanes during the copy)" in finding.title
    # An old mainboard limits the generation: NVML counts the slot in, and so do we.
    old = with_gpu(slow, pcie_generation_max=2, pcie_width_max=16)
    assert ask(gpu_rates.CHECK, but(old, gpu_copy(pinned_to_card=6.1))) == {}
    unknown = with_gpu(slow, name="Some Card", pcie_generation_max=None)
    assert "copy-rate-low" in ask(gpu_rates.CHECK, unknown), "the card's own published link"


def test_a_wrong_result_is_worse_than_a_failure() -> None:
    wrong = ask(attention_check.CHECK, but(LIVE_CARD, attention(efficient="wrong: the result is off by 3")))
    assert wrong["attention-backend-broken"].severity is Severity.ERROR
    assert "efficient computes wrongly" in wrong["attention-backend-broken"].title
    both = ask(attention_check.CHECK, but(LIVE_CARD, attention(flash="failed: x", cudnn="failed: y")))
    assert "backends flash and cudnn fail" in both["attention-backend-broken"].title


def test_xformers_may_refuse_a_processor_but_no_card() -> None:
    no = "refused: No operator found for `memory_efficient_attention_forward`"
    found = ask(attention_check.CHECK, but(LIVE_CARD, attention(xformers=no)))["attention-backend-broken"]
    assert found.severity is Severity.WARNING
    assert "uninstall -y xformers" in "".join(found.remedy.commands if found.remedy else ())
    assert ask(attention_check.CHECK, but(LIVE_CPU, attention("cpu", xformers=no))) == {}


# the processor


def test_the_clock_and_the_instructions_set_the_expectation() -> None:
    slow = but(LIVE_CPU, cpu_rate(fp32=0.04, fp32_one_thread=0.02, bf16=0.09))
    finding = ask(cpu_rates.CHECK, slow)["cpu-rate-low"]
    assert finding.severity is Severity.WARNING
    assert "0.04 TFLOP/s; 2 threads at 2596 MHz should reach about 0.166" in finding.title
    for unknown in ({"frequency_max": None}, {"flags": ("asimd",)}, {"flags": None}):
        assert "cpu-rate-low" not in ask(cpu_rates.CHECK, changed(slow, cpu=unknown))


@pytest.mark.parametrize(
    ("threads", "gained", "poor"),
    [(1, 1.0, False), (2, 1.3, True), (2, 1.5, False), (8, 3.5, True), (8, 4.0, False), (64, 30.0, False)],
)
def test_threads_must_help(threads: int, gained: float, poor: bool) -> None:
    facts = but(LIVE_CPU, cpu_rate(threads=threads, fp32=0.1 * gained, fp32_one_thread=0.1, bf16=50.0))
    found = ask(cpu_rates.CHECK, changed(facts, cpu={"frequency_max": None}))
    assert ("thread-scaling-poor" in found) is poor


def test_beside_a_card_the_processor_matters_less() -> None:
    slow = cpu_rate(fp32=0.11, bf16=0.05)
    found = ask(cpu_rates.CHECK, but(LIVE_CARD, slow))
    assert {name: one.severity for name, one in found.items()} == {"thread-scaling-poor": Severity.NOTE}


def test_bf16_that_is_slow_without_hardware_is_known_before_and_now_measured() -> None:
    plain = changed(but(LIVE_CPU, cpu_rate(bf16=0.05)), cpu={"flags": ("avx2", "fma")})
    assert set(ask(cpu_rates.CHECK, plain)) == {"cpu-no-bf16"}
    both = [one for one in examine(plain, CHECKS).findings if one.id == "cpu-no-bf16"]
    assert len(both) == 1
    assert "bf16 TFLOP/s" in both[0].evidence and "cpu.model" in both[0].evidence
    unexpected = changed(plain, cpu={"flags": ("avx2", "avx512_bf16", "fma")})
    assert ask(cpu_rates.CHECK, unexpected)["cpu-bf16-slow"].severity is Severity.WARNING


def test_slow_memory() -> None:
    assert (
        ask(cpu_rates.CHECK, but(LIVE_CPU, memory(6.0)))["memory-bandwidth-low"].severity is Severity.WARNING
    )
    assert ask(cpu_rates.CHECK, but(LIVE_CARD, memory(6.0)))["memory-bandwidth-low"].severity is Severity.NOTE


# compiler, disk, figures


@pytest.mark.parametrize(
    ("notes", "cause"),
    [
        ({"compiler": "none"}, "compiler-missing"),
        (
            {"compiler": "/usr/bin/g++", "extension": "fatal error: Python.h: No such file"},
            "compiler-missing",
        ),
        ({"compiler": "C:\\cl.exe"}, None),
        ({"compiler": "/usr/bin/g++", "extension": "ok"}, None),
        ({"compiler": "/usr/bin/g++", "extension": "ok", "triton": "not installed"}, "triton-missing"),
        ({"compiler": "/usr/bin/g++", "extension": "ok", "triton": "ImportError: x"}, "triton-missing"),
    ],
)
def test_what_torch_compile_needs(notes: dict[str, str], cause: str | None) -> None:
    found = ask(compiler.CHECK, but(LIVE_CARD, probe("compiler", **notes)))
    assert list(found) == ([cause] if cause else [])
    assert all(one.severity is Severity.NOTE for one in found.values()), "everything else works without"


def test_triton_is_of_no_use_to_a_processor() -> None:
    assert ask(compiler.CHECK, LIVE_CPU) == {}


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        ("Ubuntu 24.04", "apt install"),
        ("Fedora 43", "dnf install"),
        ("Arch Linux", "pacman"),
        (None, "apt install"),
    ],
)
def test_the_compiler_comes_from_the_system(distribution: str | None, command: str) -> None:
    facts = changed(but(LIVE_CPU, probe("compiler", compiler="none")), host={"distribution": distribution})
    remedy = ask(compiler.CHECK, facts)["compiler-missing"].remedy
    assert remedy is not None and command in remedy.commands[0]


@pytest.mark.parametrize(
    ("rate", "severity"),
    [(90.0, Severity.WARNING), (199.0, Severity.WARNING), (450.0, Severity.NOTE), (501.0, None)],
)
def test_classes_of_disks(rate: float, severity: Severity | None) -> None:
    found = ask(disk_check.CHECK, but(LIVE_CARD, disk(rate)))
    assert [one.severity for one in found.values()] == ([severity] if severity else [])
    if rate == 90.0:
        assert "90 MB/s: SDXL takes 77 s to load" in found["disk-read-slow"].title


def test_the_figures_are_all_there() -> None:
    finding = ask(figures.CHECK, LIVE_CARD)["live-figures"]
    assert finding.title == (
        "Measured here: NVIDIA GeForce RTX 3060 fp32 9.5, bf16 19.6, fp16 19.5 TFLOP/s; the processor fp32 0.202, "
        "bf16 0.444, fp16 0.0032 TFLOP/s; main memory 32.3 GB/s; to the card 24.6 GB/s; a launch 4.2 us; the model "
        "cache 1612 MB/s."
    )
    assert finding.evidence["launch-latency"] == {"cuda:0 launch us": 4.2, "cuda:0 round_trip us": 14.0}
    assert "not applicable" in finding.evidence
