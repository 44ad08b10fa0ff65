"""For each cause that error lines lead to: a report that says it, and one close to it that does not."""

from __future__ import annotations

OK_LINUX = """PyTorch version: 2.13.0+cu130
CUDA used to build PyTorch: 13.0
OS: Ubuntu 24.04.1 LTS (x86_64)
Python version: 3.12.4 (64-bit runtime)
GPU 0: NVIDIA GeForce RTX 3060
Nvidia driver version: 580.95.05
[pip3] torch==2.13.0+cu130
[pip3] torchvision==0.28.0+cu130
[pip3] numpy==2.4.6
"""
OK_WINDOWS = OK_LINUX.replace("Ubuntu 24.04.1 LTS (x86_64)", "Microsoft Windows 11 Pro")
OK_MAC = """PyTorch version: 2.13.0
OS: macOS 15.1 (arm64)
Python platform: macOS-15.1-arm64-arm-64bit
"""
OK_AMD = """PyTorch version: 2.13.0+rocm7.2
OS: Ubuntu 24.04.1 LTS (x86_64)
AMD Radeon RX 7900 XTX
"""
_OOM = (
    "CUDA out of memory. Tried to allocate {} GiB. GPU 0 has a total capacity of 8.00 GiB of which {} GiB is free. "
    "Of the allocated memory {} GiB is allocated by PyTorch, and {} GiB is reserved by PyTorch but unallocated."
)

TEXTS: dict[str, tuple[str, str]] = {
    "amd-wrong-torch": ("RuntimeError: Torch is not able to use GPU\nRX 7800 XT", OK_AMD),
    "arch-warning-harmless": (
        "Found GPU0 NVIDIA GB10 which is of cuda capability 12.1.\nPyTorch version: 2.9.1+cu130",
        "Found GPU0 GTX 1080 which is of cuda capability 6.1.\nPyTorch version: 2.9.1+cu130",
    ),
    "bnb-cuda-missing": (
        "CUDA SETUP: Required library version not found: libbitsandbytes_cuda118.so",
        OK_LINUX + "[pip3] bitsandbytes==0.45.0",
    ),
    "build-tools-missing": ("error: Microsoft Visual C++ 14.0 or greater is required.", OK_WINDOWS),
    "checkpoint-missing": (
        "No checkpoints found. When searching for checkpoints, looked at:",
        OK_LINUX + "Loading checkpoint shards: 100%",
    ),
    "compiler-missing": (
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
        OK_LINUX + "GCC version: Could not collect",
    ),
    "container-lost-gpu": (
        "Failed to initialize NVML: Unknown Error",
        "Failed to initialize NVML: Driver/library version mismatch",
    ),
    "cpu-too-old": (
        "Illegal instruction (core dumped)",
        "CUDA error: an illegal memory access was encountered",
    ),
    "cuda-library-clash": (
        "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkAddData_12_1, "
        "version libnvJitLink.so.12",
        OK_LINUX,
    ),
    "cuda-library-missing": (
        "ImportError: libcudart.so.11.0: cannot open shared object file: No such file",
        "libcuda.so.1: cannot open shared object file",
    ),
    "cuda-library-start-failed": (
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling cublasCreate(handle)",
        OK_LINUX,
    ),
    "cuda-malloc-async": (
        "RuntimeError: cudaMallocAsync does not yet support checkPoolLiveAllocations",
        OK_LINUX + "Device: cuda:0 RTX 3060 : cudaMallocAsync",
    ),
    "cuda-unknown-error": (
        "UserWarning: CUDA initialization: CUDA unknown error - this may be due to an "
        "incorrectly set up environment",
        OK_LINUX,
    ),
    "device-side-assert": (
        "RuntimeError: CUDA error: device-side assert triggered",
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n" + OK_LINUX,
    ),
    "disk-full": (
        "OSError: [Errno 28] No space left on device",
        "OSError: [Errno 2] No such file or directory\n" + OK_LINUX,
    ),
    "dll-blocked": (
        "ImportError: DLL load failed: An Application Control policy has blocked this file.",
        OK_WINDOWS,
    ),
    "driver-timeout": (
        "RuntimeError: CUDA error: the launch timed out and was terminated",
        "requests timed out\n" + OK_LINUX,
    ),
    "dtype-mixed": (
        "RuntimeError: expected mat1 and mat2 to have the same dtype, but got: float != c10::Half",
        OK_LINUX,
    ),
    "extension-arch": (
        "CUDA error: no kernel image is available for execution on the device\nNVIDIA GeForce RTX "
        "5090\nPyTorch version: 2.8.0+cu128",
        "CUDA error: no kernel image is available for execution on the device\nNVIDIA GeForce RTX "
        "5090\nPyTorch version: 2.5.1+cu124",
    ),
    "externally-managed": ("error: externally-managed-environment", OK_LINUX),
    "file-corrupt": (
        "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge",
        OK_LINUX + "[pip3] safetensors==0.8.0",
    ),
    "flash-attn-mismatch": (
        "flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so: undefined symbol: _ZN3c104cuda9SetDeviceEi",
        "Flash Attn is not installed!\n" + OK_LINUX,
    ),
    "flash-attn-missing": (
        "ImportError: FlashAttention2 has been toggled on, but it cannot be used: the "
        "package flash_attn seems to be not installed.",
        "Flash Attn is not installed!\n" + OK_LINUX,
    ),
    "flash-attn-unsupported": ("RuntimeError: FlashAttention only supports Ampere GPUs or newer.", OK_LINUX),
    "fp16-nan-unet": (
        "NansException: A tensor with all NaNs was produced in Unet.\nNVIDIA GeForce RTX 3060",
        "NansException: A tensor with all NaNs was produced in VAE.\nNVIDIA GeForce RTX 3060",
    ),
    "fp16-nan-vae": (
        "NansException: A tensor with all NaNs was produced in VAE.\nNVIDIA GeForce RTX 3060",
        "GTX 1660\nA tensor with all NaNs was produced in VAE.",
    ),
    "fp8-unsupported": (
        "RuntimeError: \"addmm_cuda\" not implemented for 'Float8_e4m3fn'",
        OK_LINUX + "model weight dtype torch.float8_e4m3fn",
    ),
    "git-ownership": ("fatal: detected dubious ownership in repository at 'C:/sd'", OK_WINDOWS),
    "glibc-too-old": (
        "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found",
        OK_LINUX + "Libc version: glibc-2.31",
    ),
    "gpu-xid": ("NVRM: Xid (PCI:0000:01:00): 62, pid=1234", "Found no Xid in the log\n" + OK_LINUX),
    "half-on-cpu": (
        "RuntimeError: \"slow_conv2d_cpu\" not implemented for 'Half'\nOS: Ubuntu 24.04",
        "RuntimeError: \"LayerNormKernelImpl\" not implemented for 'Half'\n" + OK_MAC,
    ),
    "hub-auth": (
        "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/x/y",
        "404 Client Error: Not Found for url: https://huggingface.co/x/y",
    ),
    "hub-file-missing": (
        "404 Client Error: Not Found for url: https://huggingface.co/x/y",
        OK_LINUX + "https://huggingface.co/x/y",
    ),
    "hub-gated": (
        "Cannot access gated repo for url https://huggingface.co/black-forest-labs/FLUX.1-dev",
        "401 Client Error: Unauthorized",
    ),
    "hub-rate-limit": ("429 Client Error: Too Many Requests for url: https://huggingface.co", OK_LINUX),
    "hub-unreachable": (
        "requests.exceptions.ConnectionError: [Errno -3] Temporary failure in name resolution",
        OK_LINUX,
    ),
    "illegal-memory-access": (
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "CUDA kernel errors might be asynchronously reported\n" + OK_LINUX,
    ),
    "intel-wrong-torch": (
        "AssertionError: Torch not compiled with XPU enabled",
        "AssertionError: Torch not compiled with CUDA enabled\nRTX 3060",
    ),
    "ipex-mismatch": (
        "ERROR! Intel Extension for PyTorch* 2.1 needs to work with PyTorch 2.1, but PyTorch 2.3 is found",
        OK_LINUX,
    ),
    "lfs-pointer": (
        "_pickle.UnpicklingError: invalid load key, 'v'.",
        "_pickle.UnpicklingError: invalid load key, '<'.",
    ),
    "long-paths-off": (
        "HINT: This error might have occurred since this system does not have Windows Long "
        "Path support enabled.",
        OK_WINDOWS,
    ),
    "mig-no-instance": ("No MIG devices found.", OK_LINUX),
    "model-kind-mismatch": (
        "RuntimeError: size mismatch for model.diffusion_model.input_blocks.0: copying a param with shape",
        OK_LINUX,
    ),
    "mps-fp16": (
        "RuntimeError: \"LayerNormKernelImpl\" not implemented for 'Half'\n" + OK_MAC,
        "RuntimeError: \"LayerNormKernelImpl\" not implemented for 'Half'\nOS: Ubuntu",
    ),
    "mps-oom": (
        "RuntimeError: MPS backend out of memory (MPS allocated: 16.91 GB, max allowed: 18.13 GB).",
        OK_MAC,
    ),
    "mps-os-too-old": ("PyTorch version: 2.5.1\nOS: macOS 12.7.6 (arm64)", OK_MAC),
    "mps-unsupported-op": (
        "NotImplementedError: The operator 'aten::_fft_r2c' is not currently implemented for the MPS device.",
        OK_MAC,
    ),
    "msvc-runtime-missing": (
        "OSError: [WinError 126] The specified module could not be found. Error "
        'loading "C:\\x\\torch\\lib\\c10.dll"',
        'OSError: [WinError 1455] The paging file is too small. Error loading "C:\\x\\torch\\lib\\c10.dll"',
    ),
    "nccl-failed": (
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp, ncclUnhandledCudaError",
        OK_LINUX + "[pip3] nvidia-nccl-cu12==2.27.3",
    ),
    "no-permission": ("PermissionError: [Errno 13] Permission denied: '/opt/sd/config.json'", OK_LINUX),
    "numpy-name-removed": ("AttributeError: module 'numpy' has no attribute 'float'.", OK_LINUX),
    "nvcc-mismatch": (
        "RuntimeError: The detected CUDA version (12.6) mismatches the version that was "
        "used to compile PyTorch (13.0).",
        OK_LINUX,
    ),
    "onnx-cuda-missing": (
        "UserWarning: Specified provider 'CUDAExecutionProvider' is not in available provider names.",
        OK_LINUX + "[pip3] onnxruntime-gpu==1.23.0",
    ),
    "oom-despite-free": (
        _OOM.format("0.02", "2.35", "0.80", "0.02"),
        _OOM.format("2.00", "0.10", "7.50", "0.02"),
    ),
    "oom-fragmentation": (
        _OOM.format("1.70", "0.00", "4.00", "3.00"),
        _OOM.format("1.70", "0.00", "7.00", "0.60"),
    ),
    "oom-other-process": (
        _OOM.format("0.50", "0.10", "3.00", "0.20"),
        _OOM.format("0.50", "0.10", "7.40", "0.20"),
    ),
    "oom-too-big": (_OOM.format("0.50", "0.10", "7.40", "0.20"), _OOM.format("0.50", "0.10", "3.00", "0.20")),
    "opencv-conflict": ("AttributeError: module 'cv2' has no attribute 'gapi'", OK_LINUX),
    "pagefile-too-small": (
        "RuntimeError: [enforce fail] DefaultCPUAllocator: not enough memory: you "
        "tried to allocate 8 bytes.\n" + OK_WINDOWS,
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes\n" + OK_LINUX,
    ),
    "peft-missing": ("ValueError: PEFT backend is required for this method.", OK_LINUX),
    "platform-no-cuda-wheel": (
        "ERROR: Could not find a version that satisfies the requirement "
        "torch==2.1.2+cu118 (from versions: 2.1.1, 2.1.2)\n" + OK_MAC,
        "ERROR: Could not find a version "
        "that satisfies the requirement torch==2.1.2 (from versions: none)\nPython 3.13.0",
    ),
    "port-in-use": (
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8188): "
        "address already in use",
        OK_LINUX,
    ),
    "protobuf-version": ("TypeError: Descriptors cannot be created directly.", OK_LINUX),
    "python-untested": ("INCOMPATIBLE PYTHON VERSION", OK_WINDOWS),
    "ram-exhausted": ("python main.py\nKilled", OK_LINUX + "Process was killed by the user, as asked."),
    "rocm-fault": (
        "Memory access fault by GPU node-1 (Agent handle: 0x1) on address 0x7f. Reason: Page not present.",
        OK_AMD,
    ),
    "rocm-gfx-unsupported": (
        "RuntimeError: HIP error: invalid device function\nAMD Radeon RX 6700 XT",
        OK_AMD,
    ),
    "rocm-no-driver": (
        "ROCk module is NOT loaded, possibly no GPU devices",
        "ROCk module is loaded\n" + OK_AMD,
    ),
    "rocm-permissions": ("Unable to open /dev/kfd read-write: Permission denied", OK_AMD),
    "safety-checker": ("Potential NSFW content was detected in one or more images.", OK_LINUX),
    "sageattention-broken": (
        "ModuleNotFoundError: No module named 'sageattention'",
        "Sage Attn is not installed!\n" + OK_LINUX,
    ),
    "secure-boot": ("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", OK_LINUX),
    "setuptools-too-new": ("ModuleNotFoundError: No module named 'pkg_resources'", OK_LINUX),
    "shm-too-small": (
        "RuntimeError: DataLoader worker (pid 88) is killed by signal: Bus error. "
        "insufficient shared memory (shm)",
        OK_LINUX,
    ),
    "ssl-error": (
        "SSLError(SSLCertVerificationError(1, 'certificate verify failed: unable to get local "
        "issuer certificate'))",
        OK_LINUX,
    ),
    "symlinks-off": ("OSError: [WinError 1314] A required privilege is not held by the client", OK_WINDOWS),
    "system-library-missing": (
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
        OK_LINUX,
    ),
    "tokenizer-missing": (
        "ValueError: Cannot instantiate this tokenizer from a slow version. If it's "
        "based on sentencepiece, make sure you have it.",
        OK_LINUX,
    ),
    "torch-load-blocked": (
        "ValueError: Due to a serious vulnerability issue in `torch.load`, we now "
        "require users to upgrade torch to at least v2.6",
        OK_LINUX,
    ),
    "torch-too-old": ("AttributeError: module 'torch' has no attribute 'float8_e4m3fn'", OK_LINUX),
    "torchaudio-mismatch": (
        "OSError: libtorchaudio.so: undefined symbol: _ZN3c10",
        OK_LINUX + "[pip3] torchaudio==2.13.0+cu130",
    ),
    "torchvision-name-removed": (
        "ModuleNotFoundError: No module named 'torchvision.transforms.functional_tensor'",
        OK_LINUX,
    ),
    "triton-card-too-old": (
        "Found GTX 1080 which is too old to be supported by the triton GPU compiler",
        OK_LINUX,
    ),
    "triton-mismatch": (
        "ImportError: cannot import name 'triton_key' from 'triton.compiler.compiler'",
        OK_LINUX + "[pip3] triton==3.8.0",
    ),
    "triton-missing": (
        "RuntimeError: Cannot find a working triton installation.",
        "A matching Triton is "
        "not available, some optimizations will not be enabled\nError caught was: No module named "
        "'triton'\n" + OK_WINDOWS,
    ),
    "ui-package-conflict": (
        "ModuleNotFoundError: No module named 'pytorch_lightning.utilities.distributed'",
        OK_LINUX,
    ),
    "venv-missing": (
        "The virtual environment was not created successfully because ensurepip is not available.",
        OK_LINUX,
    ),
    "vram-spill": (
        "[Low VRAM Warning] You just set Forge to use 100% GPU memory to load model weights.",
        OK_WINDOWS,
    ),
    "weights-only": ("_pickle.UnpicklingError: Weights only load failed.", OK_LINUX),
    "wrong-python": (
        "E:\\ComfyUI_windows_portable\\ComfyUI\\custom_nodes\\x>pip install -r requirements.txt",
        "E:\\ComfyUI_windows_portable>.\\python_embeded\\python.exe -m pip install -r requirements.txt",
    ),
    "wsl-driver-blocked": ("Failed to initialize NVML: GPU access blocked by the operating system", OK_LINUX),
    "wsl-libcuda-path": (
        "Python platform: Linux-5.15.153.1-microsoft-standard-WSL2-x86_64\nlibcuda.so: "
        "cannot open shared object file",
        "libcuda.so: cannot open shared object file\nOS: Ubuntu 22.04",
    ),
    "wsl-vmm-allocator": ("RuntimeError: CUDA driver error: device not ready", OK_LINUX),
    "wsl1-no-gpu": (
        "Python platform: Linux-4.4.0-19041-Microsoft-x86_64-with-glibc2.31",
        "Python platform: Linux-5.15.153.1-microsoft-standard-WSL2-x86_64",
    ),
    "xformers-missing": (
        "ModuleNotFoundError: No module named 'xformers'",
        "No module 'xformers'. Proceeding without it.\n" + OK_WINDOWS,
    ),
}
"""Cause -> (a report that names it, a report that does not)."""
