"""For each cause that the facts of a machine lead to: a machine that has it, and one close to it that has not."""

from __future__ import annotations

from dataclasses import replace

from machines import CPU_ONLY, HEALTHY, RTX_3060, changed, package, with_gpu, with_packages

from doctor.facts import Disk, Facts, TorchBuild, Unread
from doctor.sizes import GIB

_CU126 = TorchBuild(version="2.13.0+cu126", cuda="12.6")
_DUAL = replace(HEALTHY, gpus=(RTX_3060, replace(RTX_3060, index=1, uuid="GPU-b")))


def _set(**variables: str) -> Facts:
    return replace(HEALTHY, environment=variables)


def _no_card(**driver: object) -> Facts:
    return changed(replace(HEALTHY, gpus=()), driver=driver)


_SMALL = changed(HEALTHY, memory={"available": 2 * GIB})

MACHINES: dict[str, tuple[Facts, Facts]] = {
    "accelerate-missing": (with_packages(HEALTHY, without=("accelerate",)), HEALTHY),
    "alloc-conf-ignored": (
        replace(
            _set(PYTORCH_ALLOC_CONF="expandable_segments:True"),
            torch=TorchBuild(version="2.9.1+cu128", cuda="12.8"),
        ),
        _set(PYTORCH_ALLOC_CONF="expandable_segments:True"),
    ),
    "alloc-conf-invalid": (
        _set(PYTORCH_CUDA_ALLOC_CONF="max_split_mb:512"),
        _set(PYTORCH_CUDA_ALLOC_CONF="max_split_size_mb:512"),
    ),
    "arch-dropped": (with_gpu(HEALTHY, name="GTX 1080", capability=(6, 1)), HEALTHY),
    "arch-not-in-wheel": (
        replace(with_gpu(HEALTHY, name="RTX 5090", capability=(12, 0)), torch=_CU126),
        with_gpu(HEALTHY, name="RTX 5090", capability=(12, 0)),
    ),
    "architecture": (HEALTHY, CPU_ONLY),
    "bf16-unsupported": (with_gpu(HEALTHY, name="RTX 2060", capability=(7, 5)), HEALTHY),
    "bnb-version-forced": (_set(BNB_CUDA_VERSION="118"), _set(BNB_CUDA_VERSION="130")),
    "cache-remote": (
        replace(HEALTHY, disks=(Disk(purpose="model cache", path="/nas", free=900 * GIB, kind="nfs4"),)),
        HEALTHY,
    ),
    "clocks-locked": (
        with_gpu(HEALTHY, clock_reasons=("applications_clocks_setting",)),
        with_gpu(HEALTHY, clock_reasons=("gpu_idle",)),
    ),
    "cpu-bf16": (CPU_ONLY, changed(CPU_ONLY, cpu={"flags": ("avx2",)})),
    "cpu-no-bf16": (changed(CPU_ONLY, cpu={"flags": ("avx2",)}), CPU_ONLY),
    "cpu-only-torch": (replace(HEALTHY, torch=TorchBuild(version="2.13.0+cpu")), CPU_ONLY),
    "cuda-visible-devices": (_set(CUDA_VISIBLE_DEVICES="-1"), _set(CUDA_VISIBLE_DEVICES="0")),
    "disk-nearly-full": (replace(HEALTHY, disks=(Disk(purpose="model cache", path="~", free=GIB),)), HEALTHY),
    "docker-no-gpu": (
        changed(_no_card(library_found=False), host={"container": "docker"}),
        changed(HEALTHY, host={"container": "docker"}),
    ),
    "driver-age": (HEALTHY, CPU_ONLY),
    "driver-error": (_no_card(error="Unknown Error"), HEALTHY),
    "driver-too-old": (changed(HEALTHY, driver={"version": "535.183.01"}), HEALTHY),
    "fp16-nan-gtx16xx": (
        with_gpu(HEALTHY, name="NVIDIA GeForce GTX 1660", capability=(7, 5)),
        with_gpu(HEALTHY, name="NVIDIA GeForce RTX 2060", capability=(7, 5)),
    ),
    "governor-powersave": (
        changed(CPU_ONLY, cpu={"governor": "powersave"}),
        changed(CPU_ONLY, cpu={"governor": "powersave", "scaling_driver": "intel_pstate"}),
    ),
    "gpu-hot": (with_gpu(HEALTHY, temperature=91.0), with_gpu(HEALTHY, temperature=78.0)),
    "gpu-lost": (replace(HEALTHY, unread=(Unread(what="gpus[0].temperature", why="GPU is lost"),)), HEALTHY),
    "gpu-memory-errors": (with_gpu(HEALTHY, ecc_uncorrected=3), with_gpu(HEALTHY, ecc_uncorrected=0)),
    "gpu-too-old": (with_gpu(HEALTHY, name="Tesla K80", capability=(3, 7)), HEALTHY),
    "hf-version-conflict": (with_packages(HEALTHY, package("huggingface-hub", "0.30.0")), HEALTHY),
    "launch-blocking": (_set(CUDA_LAUNCH_BLOCKING="1"), _set(CUDA_LAUNCH_BLOCKING="0")),
    "library-path": (
        _set(LD_LIBRARY_PATH="/usr/local/cuda-11.8/lib64"),
        _set(LD_LIBRARY_PATH="/usr/lib/wsl/lib"),
    ),
    "low-priority": (changed(HEALTHY, cpu={"niceness": 10}), HEALTHY),
    "memory-caching-off": (_set(PYTORCH_NO_CUDA_MEMORY_CACHING="1"), HEALTHY),
    "mig-mode": (with_gpu(HEALTHY, mig_enabled=True), with_gpu(HEALTHY, mig_enabled=False)),
    "no-driver": (_no_card(library_found=False), CPU_ONLY),
    "no-gpu": (CPU_ONLY, HEALTHY),
    "no-swap": (
        changed(HEALTHY, memory={"total": 16 * GIB, "available": 12 * GIB, "swap_total": 0}),
        HEALTHY,
    ),
    "numpy-abi": (replace(HEALTHY, torch=TorchBuild(version="2.2.2+cu121", cuda="12.1")), HEALTHY),
    "nvml-mismatch": (_no_card(error="Driver/Library Version Mismatch"), HEALTHY),
    "offline-mode": (_set(HF_HUB_OFFLINE="1"), _set(HF_HUB_OFFLINE="0")),
    "omp-threads": (_set(OMP_NUM_THREADS="64"), _set(OMP_NUM_THREADS="8")),
    "pcie-width": (
        with_gpu(HEALTHY, pcie_width=4, pcie_width_max=16),
        with_gpu(HEALTHY, pcie_width=16, pcie_width_max=16),
    ),
    "power-brake": (
        with_gpu(HEALTHY, clock_reasons=("hw_power_brake_slowdown",)),
        with_gpu(HEALTHY, clock_reasons=("sw_power_cap",)),
    ),
    "power-limit": (
        with_gpu(HEALTHY, power_limit=100.0, power_limit_default=170.0),
        with_gpu(HEALTHY, power_limit=170.0, power_limit_default=170.0),
    ),
    "python-32bit": (changed(HEALTHY, python={"bits": 32}), HEALTHY),
    "python-no-wheel": (
        changed(
            replace(with_packages(HEALTHY, without=("torch",)), torch=None), python={"version": "3.16.0"}
        ),
        HEALTHY,
    ),
    "pythonpath": (_set(PYTHONPATH="/usr/lib/python3/dist-packages"), _set(PYTHONPATH="~/project")),
    "ram-low": (_SMALL, HEALTHY),
    "requirement-conflict": (
        with_packages(HEALTHY, package("bitsandbytes", "0.49.0", "numpy<2")),
        with_packages(HEALTHY, package("bitsandbytes", "0.49.0", "numpy>=1.17")),
    ),
    "swap-in-use": (
        changed(_SMALL, memory={"swap_used": 4 * GIB}),
        changed(HEALTHY, memory={"swap_used": 4 * GIB}),
    ),
    "tf32-off": (_set(NVIDIA_TF32_OVERRIDE="0"), _set(NVIDIA_TF32_OVERRIDE="1")),
    "threads-over-quota": (changed(HEALTHY, cpu={"quota_cores": 2.0}), HEALTHY),
    "torch-build": (HEALTHY, replace(with_packages(HEALTHY, without=("torch",)), torch=None)),
    "torch-conv3d-memory": (replace(HEALTHY, torch=TorchBuild(version="2.9.1+cu130", cuda="13.0")), HEALTHY),
    "torch-missing": (replace(with_packages(HEALTHY, without=("torch",)), torch=None), HEALTHY),
    "torchvision-mismatch": (
        with_packages(HEALTHY, package("torchvision", "0.19.0", "torch==2.4.0")),
        with_packages(HEALTHY, package("torchvision", "0.28.0", "torch==2.13.0")),
    ),
    "vram-held": (with_gpu(HEALTHY, memory_used=6 * GIB), HEALTHY),
    "vram-tier": (HEALTHY, CPU_ONLY),
    "xformers-black": (with_packages(HEALTHY, package("xformers", "0.0.18")), HEALTHY),
    "xformers-mismatch": (
        with_packages(HEALTHY, package("xformers", "0.0.30", torch="2.7.0+cu126", cuda="12.6")),
        HEALTHY,
    ),
    "xformers-not-needed": (
        with_packages(HEALTHY, package("xformers", "0.0.35", torch="2.10.0+cu130", cuda="13.0")),
        HEALTHY,
    ),
}
"""Cause -> (a machine that has it, a machine that has not)."""
