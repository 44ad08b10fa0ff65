"""Machines whose live probes were recorded or made up, and for each cause one that has it and one that has not."""

from __future__ import annotations

from dataclasses import replace

from machines import CPU_ONLY, HEALTHY, changed, with_gpu

from doctor.facts import Facts, ProbeOutcome, ProbeResult, ProbeValue

CARD = "NVIDIA GeForce RTX 3060"


def probe(
    name: str,
    *figures: tuple[str, float, str],
    device: str | None = None,
    outcome: ProbeOutcome = ProbeOutcome.OK,
    during: str | None = None,
    error: str | None = None,
    **notes: str,
) -> ProbeResult:
    """A result; ``figures`` are (name, value, unit). The notes of a card begin with its name."""
    values = tuple(ProbeValue(name=n, value=v, unit=u, device=device) for n, v, u in figures)
    named = {device: CARD} if device and device.startswith("cuda") else {}
    return ProbeResult(
        name=name,
        outcome=outcome,
        values=values,
        notes=named | notes,
        during=during,
        error=error,
        seconds=1.0,
    )


def failed(name: str, error: str, **fields: str) -> ProbeResult:
    return probe(name, outcome=ProbeOutcome.FAILED, error=error, **fields)


def crashed(name: str, during: str = "measuring") -> ProbeResult:
    return probe(name, outcome=ProbeOutcome.CRASHED, during=during, error="ended by SIGSEGV")


def hung(name: str) -> ProbeResult:
    return probe(name, outcome=ProbeOutcome.TIMED_OUT, during="starting CUDA")


# As measured on two cores of an EPYC (Zen 4) virtual machine, torch 2.13.0+cpu.
PROCESSOR = (
    probe("disk-read", ("read", 1612.0, "MB/s"), ("bytes", 268435456.0, "B"), file="a model file of the cache"),
    probe("import-torch", ("import", 1.66, "s"), ("import_cpu", 1.06, "s"), version="2.13.0+cpu"),
    probe("import-diffusers", ("import", 5.22, "s"), ("import_cpu", 3.7, "s"), version="0.42.1"),
    probe("import-xformers", outcome=ProbeOutcome.NOT_APPLICABLE, error="xformers is not installed"),
    probe("cuda-init", outcome=ProbeOutcome.NOT_APPLICABLE, error="the installed torch is a CPU build"),
    probe("attention", ("flash", 11313.0, "us"), ("math", 18866.0, "us"), device="cpu",
          flash="ok", math="ok", efficient="refused: no viable backend", cudnn="refused: no viable backend"),
    probe("compiler", ("compile", 0.48, "s"), compiler="/usr/bin/g++", extension="ok", triton="not installed"),
    probe("memory-bandwidth", ("copy_one_thread", 19.6, "GB/s"), ("copy", 32.3, "GB/s"), device="cpu"),
    probe("cpu-rate", ("threads", 2, "count"), ("fp32", 0.2024, "TFLOP/s"), ("bf16", 0.4444, "TFLOP/s"),
          ("fp16", 0.0032, "TFLOP/s"), ("fp32_one_thread", 0.1013, "TFLOP/s"), device="cpu"),
)  # fmt: skip

# Made up from published figures: three quarters of what the card has on paper.
_FIGURES = (
    ("fp32", 9.5, "TFLOP/s"),
    ("fp16", 19.5, "TFLOP/s"),
    ("bf16", 19.6, "TFLOP/s"),
    ("copy", 290, "GB/s"),
)
_COPIES = (("pinned_to_card", 24.6, "GB/s"), ("pinned_from_card", 25.3, "GB/s"), ("pageable_to_card", 11, "GB/s"),
           ("pcie_generation", 4, "generation"), ("pcie_width", 16, "lanes"))  # fmt: skip
_BACKENDS = {"flash": "ok", "efficient": "ok", "cudnn": "ok", "math": "ok"}
GRAPHICS = (
    *PROCESSOR[:4],
    probe("cuda-init", ("cards", 1, "count"), ("init", 0.41, "s"), **{"cuda:0": CARD}),
    probe("cuda-kernel", ("cards", 1, "count")),
    probe("attention", ("flash", 60, "us"), device="cuda:0", **_BACKENDS),
    probe("compiler", ("compile", 0.5, "s"), compiler="/usr/bin/g++", extension="ok", triton="3.7.0"),
    *PROCESSOR[-2:],
    probe("gpu-rate", *_FIGURES, device="cuda:0"),
    probe("gpu-copy", *_COPIES, device="cuda:0"),
    probe("launch-latency", ("launch", 4.2, "us"), ("round_trip", 14, "us"), device="cuda:0"),
    probe("fp16-convolution", ("convolutions", 50, "count"), ("not_finite", 0, "count"), device="cuda:0"),
)

LIVE_CPU = replace(
    changed(CPU_ONLY, cpu={"frequency_max": 2596.0, "flags": ("avx2", "avx512_bf16", "fma")}),
    probes=PROCESSOR,
)
LIVE_CARD = replace(with_gpu(HEALTHY, pcie_generation_max=4, pcie_width_max=16), probes=GRAPHICS)


def but(facts: Facts, *results: ProbeResult) -> Facts:
    """``facts`` with some results in place of those of the same probes, or added."""
    new = {result.name: result for result in results}
    kept = tuple(new.pop(one.name, one) for one in facts.probes or ())
    return replace(facts, probes=(*kept, *new.values()))


def cpu_rate(**figures: float) -> ProbeResult:
    """The processor's rates with some of them changed."""
    known = {one.name: one.value for one in PROCESSOR[-1].values} | figures
    return probe("cpu-rate", *((name, value, "TFLOP/s") for name, value in known.items()), device="cpu")


def gpu_rate(**figures: float) -> ProbeResult:
    known = {name: value for name, value, _ in _FIGURES} | figures
    return probe("gpu-rate", *((name, value, "TFLOP/s") for name, value in known.items()), device="cuda:0")


def gpu_copy(**figures: float) -> ProbeResult:
    known = {name: value for name, value, _ in _COPIES} | figures
    return probe("gpu-copy", *((name, value, "GB/s") for name, value in known.items()), device="cuda:0")


def attention(device: str = "cuda:0", **answers: str) -> ProbeResult:
    return probe("attention", ("math", 200, "us"), device=device, **(_BACKENDS | answers))


def memory(rate: float) -> ProbeResult:
    return probe("memory-bandwidth", ("copy", rate, "GB/s"), device="cpu")


def disk(rate: float) -> ProbeResult:
    return probe("disk-read", ("read", rate, "MB/s"), file="a model file of the cache")


_BROKEN = "OSError: libcudart.so.13: cannot open shared object file: No such file or directory"
_INIT = "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment"

LIVE: dict[str, tuple[Facts, Facts]] = {
    "torch-import-fails": (but(LIVE_CARD, failed("import-torch", _BROKEN)), LIVE_CARD),
    "diffusers-import-fails": (
        but(LIVE_CARD, failed("import-diffusers", "ImportError: cannot import name 'x' from 'y'")),
        LIVE_CARD,
    ),
    "xformers-import-fails": (but(LIVE_CARD, failed("import-xformers", "OSError: _C.so")), LIVE_CARD),
    "import-slow": (
        but(LIVE_CPU, probe("import-torch", ("import", 44.0, "s"))),
        but(LIVE_CPU, probe("import-torch", ("import", 9.0, "s"))),
    ),
    "cuda-init-fails": (but(LIVE_CARD, failed("cuda-init", _INIT)), LIVE_CPU),
    "cuda-init-slow": (
        but(LIVE_CARD, probe("cuda-init", ("init", 4.5, "s"))),
        but(LIVE_CARD, probe("cuda-init", ("init", 1.5, "s"))),
    ),
    "kernel-fails": (but(LIVE_CARD, failed("cuda-kernel", "RuntimeError: no kernel image")), LIVE_CARD),
    "launch-latency-high": (
        but(LIVE_CARD, probe("launch-latency", ("launch", 85, "us"), device="cuda:0")),
        but(LIVE_CARD, probe("launch-latency", ("launch", 18, "us"), device="cuda:0")),
    ),
    "fp16-nan-conv": (
        but(LIVE_CARD, probe("fp16-convolution", ("convolutions", 50, "count"), ("not_finite", 7, "count"),
                             device="cuda:0")),
        LIVE_CARD,
    ),
    "probe-crashed": (but(LIVE_CARD, crashed("attention", "flash")), LIVE_CARD),
    "probe-hung": (but(LIVE_CARD, hung("cuda-init")), LIVE_CARD),
    "probe-failed": (but(LIVE_CARD, failed("gpu-rate", "RuntimeError: something")), LIVE_CARD),
    "attention-backend-broken": (
        but(LIVE_CARD, attention(flash="failed: RuntimeError: CUDA error")),
        but(LIVE_CARD, attention(flash="refused: Flash attention only supports sm80 and newer")),
    ),
    "attention-only-math": (
        but(LIVE_CARD, attention(flash="refused: x", efficient="refused: x", cudnn="refused: x")),
        but(LIVE_CARD, attention(flash="refused: x", cudnn="refused: x")),
    ),
    "matrix-rate-low": (but(LIVE_CARD, gpu_rate(fp16=9.0)), but(LIVE_CARD, gpu_rate(fp16=14.0))),
    "gpu-memory-slow": (but(LIVE_CARD, gpu_rate(copy=100.0)), but(LIVE_CARD, gpu_rate(copy=200.0))),
    "memory-bandwidth-low": (but(LIVE_CPU, memory(6.0)), but(LIVE_CPU, memory(14.0))),
    "cpu-rate-low": (
        but(LIVE_CPU, cpu_rate(fp32=0.04, fp32_one_thread=0.02, bf16=0.09)),
        but(LIVE_CPU, cpu_rate(fp32=0.06, fp32_one_thread=0.03, bf16=0.09)),
    ),
    "copy-rate-low": (but(LIVE_CARD, gpu_copy(pinned_to_card=12.3)), but(LIVE_CARD, gpu_copy(pinned_to_card=20.0))),
    "thread-scaling-poor": (
        but(LIVE_CPU, cpu_rate(fp32=0.11, bf16=0.3)),
        but(LIVE_CPU, cpu_rate(fp32=0.16, bf16=0.3)),
    ),
    "cpu-bf16-slow": (but(LIVE_CPU, cpu_rate(bf16=0.05)), LIVE_CPU),
    "disk-read-slow": (but(LIVE_CARD, disk(140.0)), but(LIVE_CARD, disk(1800.0))),
    "live-figures": (LIVE_CPU, CPU_ONLY),
}  # fmt: skip
