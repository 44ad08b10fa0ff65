"""Working memory that CUDA's libraries and oneDNN take beside the tensors, as far as published measurements tell.

cuDNN's choice of algorithm cannot be computed without a card. Each rule below is the simplest one that explains the
published peaks named beside it; ``docs/plan.md`` shows how well.
"""

from __future__ import annotations

from tuner.dryrun.rows import Convolution

_MIB = 2**20
# torch/aten/src/ATen/cuda/CUDABlas.cpp (getChosenWorkspaceSize): 4096 KiB x 2 + 16 KiB x 8, on Hopper 4096 KiB x 8.
_CUBLAS = 8 * _MIB + 128 * 1024
_CUBLAS_HOPPER = 32 * _MIB
_HOPPER = (9, 0)
_TENSOR_CORES = (7, 0)
_TF32 = (8, 0)
# The first two generations of tensor cores: their kernels read one of the two operands as it lies.
_NHWC_ONLY = (8, 0)
# Without tensor cores cuDNN computes 16-bit convolutions in float32, on copies twice as large.
_WIDENED = 2
# Bytes for each weight of a 3x3 layer, as 64 transformed numbers of 16 bits for 9. Fitted to the 489 MiB and 487 MiB
# that SD 1.4 and 2.1 take for a step at 512x512 on a P100 (gperdrizet/unit-6-assignments, p100/benchmark_results.json).
_TRANSFORMED_WEIGHT = 128 / 9


def cublas_bytes(capability: tuple[int, int]) -> int:
    """What torch sets aside for cuBLAS at the first matrix product, for good."""
    return _CUBLAS_HOPPER if capability == _HOPPER else _CUBLAS


def convolution_bytes(convolution: Convolution, capability: tuple[int, int]) -> tuple[int, ...]:
    """What cuDNN would take while a convolution runs, the first choice first.

    torch goes through cuDNN's plans in their order and takes the first one whose working memory can be allocated
    (aten/src/ATen/native/cudnn/Conv_v8.cpp); the last one here needs none.

    On tensor cores 16-bit input and output are copied into channels-last order (FLUX.1 with sequential offload takes
    2.4 GB at 1024x1024, of which 1.5 GiB are tensors); of float32 with TF32, from capability 8.0 on, the input alone
    (SDXL, four pictures on an A100: 21.72 GB in float16, 28.09 GB in float32). Before Ampere the input alone is copied in
    16 bits too (SD 1.4 at 512x512 on a V100: 3.069 GB for one picture, 4.351 GB for four).
    16 bits before tensor cores: copies in float32 (the decoder of SD 1.4 takes 884 MiB at 512x512 on a P100, of which
    352 MiB are tensors). 32 bits before TF32: nothing (SDXL's decoder there: 777 MiB, of which 768 are tensors).
    Sources: huggingface.co/blog/simple_sdxl_optimizations and those in docs/plan.md.
    """
    source, result = convolution.input_bytes, convolution.output_bytes
    if convolution.element_bytes == 4:
        return (source, 0) if capability >= _TF32 else (0,)
    if capability >= _NHWC_ONLY:
        return source + result, source, 0
    if capability >= _TENSOR_CORES:
        return source, 0
    if not convolution.three_by_three:
        return (0,)
    return int(_WIDENED * (source + result) + _TRANSFORMED_WEIGHT * convolution.weights), 0


def convolution_bytes_on_cpu(convolution: Convolution, *, by_columns: bool = False) -> tuple[int, ...]:
    """What oneDNN takes while a convolution runs: the copies that exist at one time. docs/plan.md shows how well.

    ``by_columns``: the processor has no arithmetic with which oneDNN would convolve in 16 bits. torch then multiplies
    matrices, for which all that a kernel sees is laid out once (aten/src/ATen/native/ConvolutionMM2d.cpp,
    compute_columns2d): 18 MiB for 64 channels of 128x128, as measured by `python -P tests/benchmarks/convolution_copies.py`.

    torch has the input copied into oneDNN's blocked order, computes into a copy of the output, gives the first back and
    copies the second into the output (aten/src/ATen/native/mkldnn/Conv.cpp): the larger of the two. Channels-last
    input is computed as it lies; plain input of channels-last weights is copied first. The weights are copied into
    oneDNN's order for the time of the convolution, except those of 1x1 kernels.
    """
    if by_columns and convolution.element_bytes == 2:
        return (convolution.columns_bytes,)
    copies = []
    if convolution.channels_last:
        copies += [convolution.input_bytes] if convolution.copies_input else []
    else:
        copies.append(max(convolution.input_bytes, convolution.output_bytes))
    if convolution.larger_kernel:
        copies.append(convolution.weights * convolution.element_bytes)
    return tuple(copies)
