"""NVIDIA: architecture, driver, container, faults of the card."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("arch-not-compatible", r"with CUDA capability sm_(?P<sm>\d{2,3})\b.{0,20}is not compatible"),
    Row("arch-range", r"which is of (?:cuda "
         r"|compute )?capability (?:\(CC\) )?(?P<major>\d+)\.(?P<minor>\d)"),
    Row("arch-list", r"(?:supports CUDA capabilities|arch_list\W{1,4}"
         r"|get_arch_list\(\)\W*)\s*(?P<list>\W{0,3}sm_\d+.*)"),
    Row("arch-advice", r"configurations: (?P<cuda>\d[\d. ]*) following instructions"),
    Row("no-kernel-image", r"no kernel image is available"
         r"|cudaErrorNoKernelImageForDevice", unless=r"\bHIP\b"),
    Row("arch-compiler", r"Value '(?:sm|compute)_(?P<sm>\d{2,3})a?' is not defined for option"
        r"|nvrtc: error: invalid value for --gpu-architecture"
        r"|Unsupported gpu architecture 'compute_(?P<sm2>\d+)"),
    Row("cuda-not-compiled", r"Torch not compiled with CUDA enabled"
         r"|not linked with support for cuda devices"
        r"|Cannot initialize CUDA without ATen_cuda library"),
    Row("torch-no-gpu", r"Torch is not able to use GPU"
         r"|Your device does not support the current version of Torch/CUDA"),
    Row("torch-cpu-version", r"Torch CPU version installed and CUDA is available"
         r"|Using CPU[- ]only (?:torch|pytorch)"),
    Row("nvidia-present", r"nvidia (?:CUDA )?toolkit detected|nvidia-smi present|nvcc: NVIDIA"
         r"|\bNVIDIA GeForce\b"
         r"|--gpus[ =]\S|windows_portable_nvidia|run_nvidia_gpu"),
    Row("cuda-works", r"^(?:Is CUDA available|CUDA available)\W+(?:True|Yes)\b"
         r"|PyTorch version \(GPU\?\): \S+ \(True\)"),
    Row("cuda-wanted", r"CUDA is not available|Falling back to CPU|no GPU has been detected|GPU not found"
        r"|_cuda_getDeviceCount"),
    Row("skip-install", r"--skip-(?:install|prepare-environment)"),
    Row("cuda-unavailable", r"torch\.cuda\.is_available\(\)\s*(?:\)\s*)?(?:is|returns?|==|=|:"
         r"|->)?\s*\W{0,3}False"
        r"|^(?:Is CUDA available|CUDA available)\W+(?:False|No)\b|PyTorch version \(GPU\?\): \S+ \(False\)"
        r"|torch reports CUDA not available|CUDA is not available|cuda available: False"),
    Row("no-driver", r"Found no NVIDIA driver|couldn'?t communicate with the NVIDIA driver"
         r"|Module nvidia not found"
        r"|NVML Shared Library Not Found|nvidia-smi['\"]? is not recognized"
        r"|nvidia-smi: (?:command )?not found"
        r"|nvml error: driver not loaded|NVIDIA kernel module is not loaded"
        r"|No NVIDIA GPU (?:was )?(?:found|detected)"),
    Row("no-cuda-gpus", r"No CUDA GPUs are available|no CUDA-capable device is detected|cudaErrorNoDevice"
        r"|CUDA_ERROR_NO_DEVICE"),
    Row("cuda-unknown", r"CUDA unknown error|cudaErrorUnknown|CUDA_ERROR_UNKNOWN|cuInit.{0,12}999"),
    Row("driver-too-old", r"driver on your system is too old(?: \(found version (?P<cuda>\d+)\))?"
        r"|driver version is insufficient|cudaErrorInsufficientDriver|unsupported toolchain"
        r"|please update your driver to a newer version|unsatisfied condition: (?:cuda"
        r"|driver)\W*(?P<wanted>[\d.]+)"
        r"|forward compatibility was attempted on non supported HW"),
    Row("nvml-mismatch", r"driver/library version mismatch"
         r"|unsupported display driver ?/ ?cuda driver combination"
        r"|API mismatch: the (?:client|NVIDIA).{0,120}version|NVML_ERROR_LIB_RM_VERSION_MISMATCH"
        r"|cudaErrorSystemDriverMismatch"),
    Row("docker-no-gpu", r"could not select device driver|Unknown runtime specified nvidia"
        r"|unknown or invalid runtime name: nvidia|nvidia-container-runtime\W.{0,40}(?:not found"
        r"|no such file)"
        r"|NVIDIA Driver was not detected|unresolvable CDI devices"
        r"|nvidia-container-cli: initialization error"
        r"|libnvidia-ml\.so\.1: cannot open shared object|nvidia-container-cli: .{0,30}ldcache error"
        r"|error gathering device information while adding custom device \W*/dev/(?:kfd|dri|nvidia)",
        unless=r"mismatch|driver not loaded"),
    Row("nvml-unknown", r"Failed to initialize NVML: Unknown Error"),
    Row("device-not-ready", r"CUDA driver error: (?:device not ready|operation not supported"
         r"|invalid argument)|dxgkio_make_resident"),
    Row("libcuda-missing", r"libcuda\.so[\d.]*\W{0,3}(?:cannot open shared object|cannot (?:be )?found"
         r"|not found)"
        r"|dynamic library '?libcuda\.so|find_library\W+cuda\W+None"),
    Row("gpu-lost", r"GPU (?:is|has been) lost|fallen off the bus"
         r"|unable to determine the device handle for GPU"
        r"|Xid[^\n]{0,40}: 79\b"),
    Row("xid", r"NVRM: Xid \([^)]*\): (?P<code>\d{1,4})"),
    Row("illegal-access", r"an illegal memory access was encountered|cudaErrorIllegalAddress"
         r"|CUDA_ERROR_ILLEGAL_ADDRESS"
        r"|unspecified launch failure|misaligned address|an illegal instruction was encountered"),
    Row("device-assert", r"device-side assert triggered|indexSelectLargeIndex|CUDA_ERROR_ASSERT"),
    Row("launch-timeout", r"the launch timed out and was terminated"
         r"|Display driver nvlddmkm stopped responding"
        r"|nvlddmkm.{0,60}(?:recover|153|\b14\b)|CUDA_ERROR_LAUNCH_TIMEOUT"),
    Row("ecc-error", r"uncorrectable ECC error|CUDA_ERROR_ECC_UNCORRECTABLE"),
    Row("cublas-init", r"CUBLAS_STATUS_(?:NOT_INITIALIZED|ALLOC_FAILED)|CUDNN_STATUS_NOT_INITIALIZED"
        r"|CUDNN_STATUS_ALLOC_FAILED"),
    Row("library-clash", r"cuDNN version incompatibility|undefined symbol: _{0,2}(?:nvJitLink|cublas"
         r"|cudnn|cusparse|cufft)\w*"
        r"|lib(?:cudnn|cublas|cusparse|nvJitLink)\S*: (?:undefined symbol|version `\S+' not found)"
        r"|Could not load library libcudnn|Unable to load any of \{?libcudnn"
        r"|CUDNN_STATUS_(?:SUB)?LIBRARY_VERSION_MISMATCH"
        r"|Invalid handle\. Cannot load symbol cudnn"),
    Row("library-missing", r"(?P<library>lib(?:cudart|cublas(?:Lt)?|cudnn\w*|cusparse(?:Lt)?|nccl|nvrtc"
         r"|cufft|curand)\.so[.\d]*)"
        r": cannot open shared object"),
    Row("nccl", r"ncclUnhandledCudaError|ncclSystemError|NCCL error"),
    Row("visible-devices", r"invalid device ordinal|CUDA_VISIBLE_DEVICES\s*[=:]\s*[\"']?(?P<value>-1"
         r"|NoDevFiles|[\"'])(?:\s|$)"),
    Row("mig", r"MIG[^\n]{0,40}(?:enabled|devices? found)[^\n]{0,60}no (?:compute|gpu) instance"
         r"|No MIG devices found"),
    Row("nouveau", r"^nouveau\s+\d+|Kernel driver in use: nouveau"
         r"|The Nouveau kernel driver is currently in use"),
    Row("secure-boot", r"Key was rejected by service|module verification failed: signature"
         r"|Required key not available"
        r"|Lockdown: modprobe: unsigned module loading is restricted"),
    Row("wsl-driver", r"WSL environment detected but no adapters"
         r"|GPU access blocked by the operating system"),
)  # fmt: skip
