"""Apple's MPS, AMD's ROCm and DirectML, Intel's XPU."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("mps-float64", r"convert a MPS Tensor to float64|MPS framework doesn'?t support float64"),
    Row("mps-dtype", r"Trying to convert (?P<dtype>\w+) to the MPS backend|MPS (?:backend )?does(?:n'?t"
         r"| not) support (?:Complex|Float8|int64|\w+ dtype)"),
    Row("mps-bf16", r"BFloat16 is not supported on MPS|MPS BFloat16 is only supported"),
    Row("mps-op", r"not currently (?:implemented|supported).{0,60}MPS|not (?:implemented|supported) (?:on"
         r"|for|at) (?:the )?MPS"
        r"|Placeholder storage has not been allocated on MPS|Output channels > 65536 not supported"
        r"|MPS: Unsupported|NDArray > 2\*\*32|INT_MAX elements|not divisible sizes on MPS|Adaptive pool MPS"
        r"|is not supported (?:on|by) (?:the )?MPS"),
    Row("mps-half", r"(?:f16.{0,80}f32|f32.{0,80}f16).{0,60}not broadcast compatible|MPSHalfType"
        r"|'?mps\.\w+'? op requires the same element type|MPSNDArray.{0,80}(?:failed assertion|f16)"
        r"|fp16 mixed precision requires a GPU \(not 'mps'\)"),
    Row("mps-os", r"MPS backend is supported on MacOS (?P<wanted>[\d.]+)"
         r"|only supported on MacOS (?P<wanted2>[\d.]+)"
        r"|current MacOS version isn'?t .{0,12}(?P<wanted3>[\d.]+)\+?"
        r"|MPS .{0,60}requires macOS (?P<wanted4>[\d.]+)"),
    Row("mps-asked", r"\bto\((?:device=)?['\"]mps['\"]\)|device\W{1,4}mps\b"),
    Row("flux-pipeline", r"\bFlux\w*Pipeline\b"),
    Row("hip-no-binary", r"hipErrorNoBinaryForGpu|HIP error: (?:shared object|the operation cannot be performed)"
         r"|HIP error: invalid device function"
         r"|hipErrorInvalidDeviceFunction"
        r"|HIP error: no kernel image|TensileLibrary\S*.{0,80}(?:Illegal seek|No such file|gfx)"
        r"|Could not initialize Tensile"
        r"|rocBLAS error: .{0,120}(?:Tensile|arch)|invalid device function.{0,60}hip"
        r"|no (?:kernel|code object).{0,60}gfx|Unable to find code object for all current devices"),
    Row("gfx", r"\b(?P<gfx>gfx\d{3,4}[a-f]?)\b"),
    Row("hip-fault", r"Memory access fault by GPU|HSA_STATUS_ERROR_(?:OUT_OF_RESOURCES|INVALID_ISA"
         r"|EXCEPTION|ILLEGAL_INSTRUCTION)"),
    Row("rocm-group", r"user name to check for video group"
         r"|Unable to open /dev/kfd.{0,40}Operation not permitted|Unable to open /dev/kfd.{0,40}Permission"
         r"|/dev/kfd\W{0,4}.{0,40}Permission"
        r"|/dev/dri/\S*\W{0,4}.{0,40}Permission denied|Permission denied.{0,60}/dev/(?:kfd|dri)"
        r"|is not (?:a )?member of .{0,12}(?:render|video)|not in the (?:render|video) group"),
    Row("kfd-missing", r"/dev/kfd\W{0,4}.{0,60}(?:No such file|not found|does not exist)"
         r"|no such file or directory.{0,40}/dev/kfd"),
    Row("rocm-not-loaded", r"ROCk module is NOT loaded|amdgpu.{0,30}not (?:loaded|found)"),
    Row("hip-no-gpu", r"No HIP GPUs are available|hipErrorNoDevice"),
    Row("directml-oom", r"not enough GPU video memory available"),
    Row("directml", r"torch_directml|DirectML|privateuseone"),
    Row("zluda", r"\bZLUDA\b"),
    Row("xpu-not-compiled", r"Torch not compiled with XPU enabled|XPU device (?:count is zero"
         r"|not (?:found|available))|No XPU devices are available"),
    Row("ipex", r"intel_extension_for_pytorch.{0,120}(?:undefined symbol|version|DLL load|not found)"
         r"|No module named 'intel_extension_for_pytorch'"
        r"|Extension for PyTorch\*? \S* (?:needs to work with|is not compatible)"),
    Row("intel-arc", r"\b(?:Intel\(?R?\)?\s*)?Arc\(?(?:TM)?\)?\s*(?P<card>[AB]\d{3}M?)\b"),
)  # fmt: skip
