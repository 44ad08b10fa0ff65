"""Published peaks of real cards, with what they were measured under. MiB unless a line says otherwise.

Figures are copied, not recomputed: Hugging Face's "GB" are GiB, gperdrizet's MB are MiB. ``first`` is the error with which
a row was predicted when it was found, before anything was changed because of it; None: it was known from the start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from doctor.sizes import MIB

GTX1070, P100, V100, A100, AMPERE, ADA, HOPPER = (6, 1), (6, 0), (7, 0), (8, 0), (8, 6), (8, 9), (9, 0)
# The safety checker that diffusers loads with SD 1.x and that sdoctor leaves out: 303,966,208 weights in 16 bits.
CHECKER = 580
# T5's "wo" layers (24 of 10240 x 4096) were float32 beside bitsandbytes' weights in the transformers of that time
# (quantizer_bnb_4bit.py: use_keep_in_fp32_modules = True); today they stay in 16 bits.
T5_WO = 24 * 10240 * 4096 * 2 / MIB


@dataclass(frozen=True)
class Row:
    """One published figure, MiB."""

    card: str
    capability: tuple[int, int]
    model: str
    size: int
    published: float
    kind: str = "allocated"
    """torch's max_memory_allocated; "reserved": its max_memory_reserved; "held": memory_allocated between pictures."""
    batch: int = 1
    extra: float = 0
    """What the source's set-up held beside what is predicted, known from its code."""
    settings: dict[str, str] = field(default_factory=dict)
    guidance: bool = True
    denoiser_only: bool = False
    """Whether the source ran the denoiser alone."""
    after_compile: bool = False
    """Whether the row was measured in a notebook after one that compiled the U-Net, see docs/plan.md."""
    first: float | None = None


def _pascal(model: str, figures: tuple[float | None, ...], *first: float, extra: int = 0) -> list[Row]:
    modes = ("none", "model", "sequential")
    found = [
        Row("P100", P100, model, 512, figure, extra=extra, settings={"offload": mode})
        for mode, figure in zip(modes, figures, strict=True)
        if figure is not None
    ]
    return [
        Row(**(vars(row) | {"first": error})) for row, error in zip(found, first, strict=True)
    ] if first else found  # fmt: skip


def _a100(gigabytes: float, *, after_compile: bool = False, **settings: str) -> Row:
    return Row(
        "A100 40GB", A100, "sdxl", 1024, gigabytes * 1024, batch=4, settings=settings, after_compile=after_compile
    )  # fmt: skip


def _flux(gigabytes: float, weights: str, extra: float = 0) -> Row:
    settings = {"precision": "bf16", "weights": weights}
    return Row("H100", HOPPER, "flux", 1024, gigabytes * 1024, "reserved", extra=extra, settings=settings)


def _offloaded(gigabytes: float, weights: str, first: float) -> Row:
    settings = {"precision": "bf16", "weights": weights, "offload": "model"}
    return Row("H100", HOPPER, "flux", 1024, gigabytes * 1024, "reserved", settings=settings, first=first)


def _denoiser(model: str, gigabytes: float, first: float | None = None, **settings: str) -> Row:
    chosen = {"precision": "bf16", "offload": "model"} | settings
    return Row(
        "RTX 4090 or A100", A100, model, 1024, gigabytes * 1024, settings=chosen, guidance=False, denoiser_only=True,
        first=first,
    )  # fmt: skip


def _peak(
    card: str, capability: tuple[int, int], model: str, size: int, gigabytes: float, first: float, *,
    batch: int = 1, extra: float = 0, kind: str = "allocated", **settings: str,
) -> Row:  # fmt: skip
    return Row(
        card,
        capability,
        model,
        size,
        gigabytes * 1024,
        kind,
        batch=batch,
        extra=extra,
        settings=settings,
        first=first,
    )


# github.com/gperdrizet/unit-6-assignments, docs/data/{p100,gtx1070}/benchmark_results.json
PASCAL = [
    *_pascal("sd15", (3519.1, 2707.8, 1463.6), extra=CHECKER),
    *_pascal("sd21", (3361.6, 2138.6, 882.5)),
    *_pascal("sdxl", (7663.1, 5472.6, 777.3)),
    *_pascal("sdxl-turbo", (7663.2, 5452.2, 776.6)),
    *_pascal("sd35-medium", (None, 12352.5, 1323.0)),
    # PixArt-XL-2-512 and PixArt-Sigma are built alike.
    *_pascal("pixart-sigma", (13223.0, 11034.9, 890.5)),
    *_pascal("kandinsky22", (10238.4, 5498.0, 2810.3), 0.000, 0.000, -0.001),
    Row("GTX 1070", GTX1070, "sd35-large", 512, 1062.3, settings={"offload": "sequential"}, guidance=False),
]
# huggingface.co/blog/simple_sdxl_optimizations and its notebook
A100_NOTEBOOK = [
    _a100(21.72),
    _a100(28.09, precision="fp32"),
    _a100(20.21, offload="model", after_compile=True),
    _a100(19.91, offload="sequential", after_compile=True),
    _a100(15.40, vae_slicing="on", after_compile=True),
    _a100(11.47, vae_slicing="on", offload="sequential", after_compile=True),
]
# huggingface.co/datasets/sayakpaul/sample-datasets: sdxl_results_patrick, sdv1-5_new_results, collated_results_pixart.csv;
# without SDPA the scores are written, as PyTorch's own plain attention in float32 does
A100_80 = [
    Row("A100 80GB", A100, "sdxl", 1024, 16.827 * 1024, settings={"precision": "fp32"}),
    Row("A100 80GB", A100, "sdxl", 1024, 8.958 * 1024, settings={"precision": "bf16"}),
    _peak("A100 80GB", A100, "sd15", 512, 4.948, -0.000, precision="fp32"),
    _peak("A100 80GB", A100, "sd15", 512, 6.116, 0.002, precision="fp32", attention="_native_math"),
    _peak("A100 80GB", A100, "pixart-sigma", 1024, 24.547, -0.018, precision="fp32"),
    _peak("A100 80GB", A100, "pixart-sigma", 1024, 12.573, -0.000, precision="bf16"),
]
# huggingface.co/datasets/diffusers/benchmarks, collated_results.csv of 2025 (the denoiser alone), and of 2023 and 2024
# (whole pipelines; commits 080c3cf, 42d114d and 123be51; 15.782 GiB are a V100, the README says A10G for the later ones)
DIFFUSERS = [
    _denoiser("flux", 22.61),
    _denoiser("flux", 6.70, weights="nf4"),
    _denoiser("flux", 0.53, offload="group"),
    _denoiser("sdxl", 5.05),
    _denoiser("sdxl", 0.20, -0.147, offload="group"),
    _peak("V100 16GB", V100, "sd15", 512, 3.069, 0.036, extra=CHECKER),
    _peak("V100 16GB", V100, "sd15", 512, 4.351, 0.140, batch=4, extra=CHECKER),
    _peak("A10G", AMPERE, "sd15", 512, 3.18, 0.000, extra=CHECKER),
    _peak("A10G", AMPERE, "kandinsky22", 512, 9.77, 0.004),
]
# huggingface.co/blog/diffusers-quantization; with offload: huggingface.co/datasets/derekl35/
# diffusers-quantization-benchmarks
H100_QUANTISED = [
    _flux(36.166, "native"),
    _flux(17.281, "nf4", T5_WO),
    _flux(24.432, "int8", T5_WO),
    _flux(28.451, "fp8"),
    _flux(25.973, "q8_0"),
    _flux(21.326, "q4_1"),
    _flux(17.752, "q2_k"),
    _offloaded(23.271, "native", 0.001),
    _offloaded(9.164, "q4_1", -0.017),
    _offloaded(12.965, "q8_0", 0.004),
    _offloaded(9.164, "q2_k", -0.017),
    _offloaded(15.621, "fp8", -0.000),
]
# github.com/siliconflow/onediff, onediff_diffusers_extensions/examples/*/README.md ("PyTorch Max Mem Used"; its
# benchmarks/text_to_image.py prints max_memory_allocated and leaves the safety checker out; PixArt-XL-2-1024 is built
# like PixArt-Sigma)
ONEDIFF = [
    _peak("RTX 3090", AMPERE, "sdxl", 1024, 10.467, 0.001),
    _peak("RTX 4090", ADA, "sdxl", 1024, 10.467, 0.001),
    _peak("A100", A100, "sdxl", 1024, 10.47, 0.001),
    _peak("RTX 3090", AMPERE, "sd15", 512, 2.627, -0.005),
    _peak("RTX 3090", AMPERE, "sd21", 768, 3.767, -0.001),
    _peak("RTX 3090", AMPERE, "sd21", 512, 3.025, -0.001),
    _peak("H800", HOPPER, "sd3-medium", 1024, 18.788, -0.001),
    _peak("RTX 4090", ADA, "sd3-medium", 1024, 18.799, -0.002),
    _peak("H20", HOPPER, "sd35-large", 1024, 28.525, -0.000, precision="bf16"),
    _peak("H20", HOPPER, "flux", 1024, 33.849, -0.000, precision="bf16"),
    _peak("A100", A100, "pixart-sigma", 1024, 14.445, 0.000),
    _peak("RTX 4090", ADA, "pixart-sigma", 1024, 14.447, -0.000),
    _peak("H800", HOPPER, "pixart-sigma", 1024, 14.468, 0.000),
]
# huggingface.co/blog/sd3; diffusers docs, optimization/speed-memory-optims; huggingface.co/blog/quanto-diffusers, whose
# script (huggingface.co/datasets/sayakpaul/sample-datasets, quanto-exps-2) prints what is held after a picture
BLOGS = [
    _peak("A100 80GB", A100, "sd3-medium", 1024, 18.765, -0.001),
    _peak("A100 80GB", A100, "sd3-medium", 1024, 12.0645, -0.001, offload="model"),
    _peak("RTX 4090", ADA, "flux", 1024, 14.9453, -0.124, precision="bf16", weights="nf4", extra=T5_WO),
    _peak("H100", HOPPER, "pixart-sigma", 1024, 12.086, 0.001, kind="held"),
    _peak("H100", HOPPER, "sd3-medium", 1024, 16.403, -0.000, kind="held"),
]
ROWS = [*PASCAL, *A100_NOTEBOOK, *A100_80, *DIFFUSERS, *H100_QUANTISED, *ONEDIFF, *BLOGS]
