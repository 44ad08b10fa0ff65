"""The environment variables that change how images are generated; no others are read."""

from __future__ import annotations

from collections.abc import Mapping

from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor

NAMES = (
    # which cards are seen
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "ZE_AFFINITY_MASK",
    # which libraries are loaded
    "LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_HOME", "CUDA_PATH", "BNB_CUDA_VERSION", "PYTHONPATH",
    "PYTHONNOUSERSITE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
    # memory
    "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING", "PYTORCH_MPS_HIGH_WATERMARK_RATIO", "PYTORCH_ENABLE_MPS_FALLBACK",
    "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_",
    # speed
    "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_CUDNN_V8_API_DISABLED", "TORCHDYNAMO_DISABLE",
    "TORCH_COMPILE_DISABLE", "MIOPEN_FIND_MODE", "ONEDNN_MAX_CPU_ISA", "CC", "CXX",
    # threads
    "OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME", "TOKENIZERS_PARALLELISM",
    # models and network
    "HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
    "DIFFUSERS_CACHE", "TRANSFORMERS_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_ENABLE_HF_TRANSFER",
    "HF_HUB_DISABLE_XET", "XDG_CACHE_HOME", "TMPDIR",
    # diffusers
    "DIFFUSERS_ATTN_BACKEND", "XFORMERS_DISABLED", "XFORMERS_FORCE_DISABLE_TRITON",
    # sdoctor
    "SDOCTOR_HOME",
)  # fmt: skip


def read_environment(environ: Mapping[str, str], redactor: Redactor) -> Reading:
    """The variables of ``NAMES`` that are set, with secrets and user names taken out."""
    values = {name: redactor.variable(name, environ[name]) for name in NAMES if name in environ}
    return Reading(parts={"environment": values})
