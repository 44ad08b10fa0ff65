"""Memory of the card and of Apple's unified memory; the numbers are read by out_of_memory."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("mps-oom", r"MPS backend out of memory|Invalid buffer size: (?P<size>[\d.]+ [KMGT]i?B)"
        r"|kIOGPUCommandBufferCallbackErrorOutOfMemory"),
    Row("alloc-conf", r"Unrecognized CachingAllocator option"
         r"|Expected a single value.*PYTORCH_CUDA_ALLOC_CONF"
        r"|Error parsing the CachingAllocator config|max_split_size_mb too small"
        r"|Unrecognized key .{0,40} in CUDA allocator config"
        r"|expandable_segments not supported on this platform|CachingAllocator.{0,60}too small"),
    Row("cuda-malloc", r"cudaMallocAsync does not yet support|cudaMallocAsync.{0,80}(?:not supported"
         r"|error)|CUDAMallocAsyncAllocator.{0,80}INTERNAL ASSERT"),
    Row("sysmem-fallback", r"\[Low VRAM Warning\]|shared GPU memory.{0,80}slow|10x slow|Sysmem Fallback"),
)  # fmt: skip
