"""The values of the setting ``weights`` that a plan knows, and what a weight takes in each. Free of torch."""

from __future__ import annotations

# Bytes of a block over the number of its weights: ggml-org/llama.cpp, ggml/src/ggml-common.h (block_q4_0 ...).
_GGUF = {
    "q8_0": 34 / 32,
    "q6_k": 210 / 256,
    "q5_k": 176 / 256,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_k": 144 / 256,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "q3_k": 110 / 256,
    "q2_k": 84 / 256,
}
# One float32 for each block of 64 weights (bitsandbytes, functional.quantize_4bit, default blocksize on CUDA).
NF4_SCALE = 4 / 64
BYTES_PER_WEIGHT = {
    "int8": 1.0,
    "fp8": 1.0,
    # Half a byte for a weight and its scale.
    "nf4": 0.5 + NF4_SCALE,
    **_GGUF,
}
WEIGHTS = ("native", *BYTES_PER_WEIGHT)


def is_gguf(weights: str) -> bool:
    """Whether it is one of GGUF's types, which diffusers loads for the denoiser only."""
    return weights in _GGUF
