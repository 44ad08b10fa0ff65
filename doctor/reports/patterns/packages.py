"""Packages that do not fit torch or one another."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

_HF = r"huggingface[_-]hub|diffusers|transformers|accelerate|peft|tokenizers|safetensors"

ROWS: tuple[Row, ...] = (
    Row("numpy-abi", r"_ARRAY_API not found|compiled using NumPy 1\.x|Numpy is not available"
         r"|numpy\.\w+ size changed"
        r"|numpy\.core\.multiarray failed to import|compiled against (?:API"
        r"|ABI) version 0x\w+ but this version of numpy"
        r"|was removed in the NumPy 2\.0 release"),
    Row("numpy-alias", r"module 'numpy' has no attribute '(?P<name>\w+)'"),
    Row("import-name", rf"cannot import name '(?P<name>\w+)' from '(?P<package>(?:{_HF})[\w.]*)'"
        rf"|No module named '(?P<package2>(?:{_HF})\.[\w.]+)'"
        rf"|module '?(?P<package3>{_HF})[\w.]*'? has no attribute '?(?P<name3>\w+)"),
    Row("requires", rf"(?P<package>{_HF})"
        r" ?(?P<wanted>[<>=!~]=?[\d.,<>=! ]*\d)\S*(?: is required| to function|, but you'll have"
        r"|, but you have|, but)\b"
        r"[^\d]*(?P<found>\d[\d.]*\d)?"),
    Row("conflict-caused-by", rf"^(?P<owner>{_HF}) (?P<owner_version>\d[\w.]*) depends on"
         rf" (?P<package>{_HF})"
        r"(?P<wanted>[<>=!~][^;]*)"),
    Row("torch-attribute", r"module 'torch(?:\.\w+)?' has no attribute '(?P<name>\w+)'"
        r"|cannot import name '(?P<name2>\w+)' from 'torch[\w.]*'"
        r"|No module named '(?P<name3>torch\.[\w.]+)'"
        r"|Disabling PyTorch because PyTorch >= (?P<wanted>[\d.]+) is required"),
    Row("triton-missing", r"Cannot find a working triton|No module named '?triton|Triton is not installed"
        r"|TritonMissing|triton not found; flop counting|requires? (?:the )?triton\b.{0,40}(?:not|install)",
        unless=r"some optimizations will not be enabled|Error caught was|flop counting"),
    Row("triton-optional", r"matching Triton is not available|triton not found; flop counting"),
    Row("triton-clash", r"cannot import name '\w+' from 'triton[\w.]*'|No module named 'triton\.\w[\w.]*'"
        r"|module 'triton(?:\.\w+)*' has no attribute"),
    Row("triton-too-old-gpu", r"too old to be supported by the triton GPU compiler|GPUTooOldForTriton"),
    Row("compiler-missing", r"Failed to find (?:C compiler|Python libs)|C\+\+ compile error"
         r"|Python\.h: No such file|Compiler: cl is not found"
        r"|fatal error C1083.{0,60}Python\.h|cannot open include file: 'Python\.h'|InvalidCxxCompiler"
        r"|Command '\['\S*(?:gcc|cl\.exe|cc|tcc\.exe|clang)\S*',? .{0,400}returned non-zero exit"
        r"|No working C\+\+ compiler found"),
    Row("torchvision", r"operator torchvision::nms does not exist|Couldn't load custom C\+\+ ops"
        r"|Could not run 'torchvision::nms'|(?:PyTorch and torchvision"
        r"|torchvision and PyTorch).{0,60}different CUDA"
        r"|torchvision\S*_C\S*\.(?:so|pyd|dll).{0,60}(?:undefined symbol|could not be found)"
        r"|partially initialized module 'torchvision'"),
    Row("torchaudio", r"torchaudio\S*\.(?:so|pyd|dll)\S*.{0,60}(?:undefined symbol|could not be found"
         r"|WinError 127)"
        r"|libtorchaudio.{0,80}(?:undefined symbol|WinError 127|could not be found)"
        r"|PyTorch and TorchAudio.{0,40}different CUDA"),
    Row("functional-tensor", r"No module named 'torchvision\.transforms\.functional_tensor'"),
    Row("flash-attn", r"flash_attn\S*: undefined symbol|flash_attn\S*.*DLL load failed"
         r"|DLL load failed while importing flash_attn"
        r"|undefined symbol.{0,200}flash_attn|flash_attn\S*\.so: cannot open shared"
        r"|libcudart\S+ .{0,80}flash_attn|flash_attn_2_cuda.{0,120}(?:undefined symbol|cannot open)"),
    Row("flash-attn-ampere", r"FlashAttention only supports (?:Ampere|A\d+).{0,20}GPUs? or newer"),
    Row("flash-attn-missing", r"flash_attn.{0,80}(?:is not installed|seems to be not installed)"
         r"|No module named 'flash_attn'"),
    Row("sageattention", r"No module named 'sageattention'|sageattention.{0,120}(?:undefined symbol"
         r"|DLL load failed|no kernel image)"
        r"|SageAttention is not installed|unsupported (?:CUDA )?arch\w* for sageattn"
        r"|sageattention.{0,60}not found"),
    Row("xformers-built", r"xFormers can't load|xFormers wasn'?t build with CUDA"
         r"|xformers\S*_C\S*.{0,80}(?:DLL load|undefined symbol)"
        r"|xformers.{0,60}version.{0,40}not compatible"
        r"|DLL load failed while importing _C: .{0,120}xformers"),
    Row("xformers-no-operator", r"No operator found for `?memory_efficient_attention"),
    Row("xformers-capability", r"but your GPU has capability \((?P<major>\d+), (?P<minor>\d+)\) \(too"
         r" old\)"),
    Row("xformers-too-new", r"requires device with capability <= \(\d+, \d+\) but your GPU has capability"
         r" \((?P<major>\d+), (?P<minor>\d+)\) \(too new\)"),
    Row("xformers-dtype", r"dtype=torch\.bfloat16 \(supported: \{(?P<supported>[^}]*)\}"),
    Row("xformers-cutlass", r"cutlassF\S* is not supported"),
    Row("xformers-missing", r"No module named '?xformers\b|Cannot import xformers"
         r"|xformers is not (?:available|installed)"
        r"|Installation of xformers is not supported in this version of Python"
        r"|Refer to https://github\.com/facebookresearch/xformers",
        unless=r"Proceeding without|no module 'xformers'\. |Warning: xformers is not|is not installed!"),
    Row("xformers-optional", r"No module 'xformers'\. Proceeding without|xformers is not installed"),
    Row("bitsandbytes", r"CUDA SETUP: (?:CUDA (?:detection failed|version lower)|Required library.*not"
         r"|Setup failed|Something unexpected)"
        r"|CUDA Setup failed despite|libbitsandbytes_cpu|bitsandbytes was compiled without GPU support"
        r"|bitsandbytes (?:CUDA )?(?:binary|library)\W.{0,60}(?:not|error)"
        r"|Could not find the bitsandbytes CUDA binary"
        r"|Configured (?:CUDA|ROCm) binary not found|attribute 'cquantize_blockwise"
        r"|attribute 'cget_managed_ptr'"
        r"|libbitsandbytes_cuda\d+\S* .{0,40}(?:not found|does not exist)"
        r"|no attribute 'c?dequantize_blockwise"
        r"|csrc[/\\]ops\.cu"),
    Row("protobuf", r"Descriptors cannot be? ?created directly"),
    Row("sentencepiece", r"Cannot instantiate this tokenizer from a slow version"
         r"|requires the SentencePiece library"
        r"|requires the protobuf library|No module named 'sentencepiece'"
        r"|Couldn't instantiate the backend tokenizer"),
    Row("accelerate-missing", r"requires? (?:the )?`?accelerate`?(?: v?[\d.]+)?(?: library| or higher"
         r"|\b.{0,20}install)"
        r"|(?:low_cpu_mem_usage|device_map|enable_\w+_offload)\W.{0,60}requires? .{0,12}accelerate"
        r"|No module named 'accelerate'"),
    Row("peft-missing", r"PEFT backend is required"),
    Row("weights-only", r"Weights only load failed|WeightsUnpickler error"
         r"|weights_only\W{1,4}True.{0,80}(?:default|Unsupported)"),
    Row("torch-load-cve", r"upgrade torch to at least v?2\.6|CVE-2025-32434"),
    Row("transformers-torch", r"requires the PyTorch library but it was not found"
         r"|None of PyTorch.{0,60}have been found"),
    Row("no-torch", r"No module named '?torch'?\s*$"),
    Row("gradio-api", r"cannot import name '\w+' from 'gradio\w*'|module 'gradio' has no attribute"
        r"|argument of type 'bool' is not iterable|No module named 'gradio'"),
    Row("pydantic", r"pydantic.{0,80}(?:BaseSettings|has been moved|PydanticImportError|underscore_attrs"
         r"|unable to infer type)"
        r"|No module named 'pydantic"),
    Row("lightning", r"No module named 'pytorch_lightning\.utilities\.distributed'"),
    Row("clip-build", r"No module named 'pkg_resources'"),
    Row("opencv", r"module 'cv2' has no attribute|cv2\S* .{0,30}recursion is detected during loading"),
    Row("onnx-provider", r"CUDAExecutionProvider.{0,60}not in available provider"
         r"|Failed to create CUDAExecutionProvider"
        r"|LoadLibrary failed with error 126.{0,200}onnxruntime_providers_cuda"
        r"|onnxruntime_providers_cuda\.(?:dll|so).{0,80}(?:126|cannot|failed)"),
    Row("tensorrt", r"Could not load .{0,20}libnvinfer|No module named 'tensorrt"),
)  # fmt: skip
