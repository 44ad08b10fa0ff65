"""Names of diffusers' attention backends, beside the ways of attention that sdoctor names itself. Free of diffusers."""

from __future__ import annotations

# diffusers 0.42.1, models/attention_dispatch.py, AttentionBackendName.
BACKENDS = (
    "flash", "flash_hub", "flash_varlen", "flash_varlen_hub", "flash_4_hub", "_flash_3", "_flash_varlen_3",
    "_flash_3_hub", "_flash_3_varlen_hub", "aiter_fa2_hub", "flex", "native", "_native_cudnn", "_native_efficient",
    "_native_flash", "_native_math", "_native_npu", "_native_xla", "sage", "sage_hub", "sage_blackwell_hub",
    "sage_varlen", "_sage_qk_int8_pv_fp8_cuda", "_sage_qk_int8_pv_fp8_cuda_sm90", "_sage_qk_int8_pv_fp16_cuda",
    "_sage_qk_int8_pv_fp16_triton",
)  # fmt: skip
# These kernels have no float32 version (flash-attn, sageattention; cuDNN's attention is for 16 bits).
HALF_ONLY = ("flash", "sage", "_flash", "_sage", "_native_cudnn", "_native_flash", "aiter")
# These compute in fewer bits than the model: the picture changes.
QUANTISED = ("sage", "_sage")
# What they come with, where that is a package of its own.
PACKAGES = {
    "flash": "flash-attn",
    "flash_varlen": "flash-attn",
    "sage": "sageattention",
    "sage_varlen": "sageattention",
}
ON_A_CPU = ("native", "_native_math")
