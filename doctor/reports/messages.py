"""Error lines -> ``Message``: a table of what programs say, each row one kind."""

from __future__ import annotations

import re

from doctor.facts import Message

_LIBRARIES = r"huggingface_hub|diffusers|transformers|accelerate|peft|tokenizers"

PATTERNS: tuple[tuple[str, str], ...] = (
    ("mps-oom", r"MPS backend out of memory"),
    ("arch-not-compatible", r"with CUDA capability sm_(?P<sm>\d{2,3})\b.{0,20}is not compatible"),
    ("arch-advice", r"configurations: (?P<cuda>[\d. ]+) following instructions"),
    ("no-kernel-image", r"no kernel image is available"),
    ("cuda-not-compiled", r"Torch not compiled with CUDA enabled"),
    ("torch-no-gpu", r"Torch is not able to use GPU"),
    ("no-driver", r"Found no NVIDIA driver|couldn't communicate with the NVIDIA driver"),
    ("driver-too-old", r"driver on your system is too old \(found version (?P<cuda>\d+)\)"
     r"|driver version is insufficient"),
    ("nvml-mismatch", r"Driver/library version mismatch"),
    ("docker-no-gpu", r"could not select device driver|nvidia-container-cli: initialization error"),
    ("device-not-ready", r"CUDA driver error: device not ready|dxgkio_make_resident"),
    ("libcuda-missing", r"libcuda\.so[\d.]*: cannot open shared object"),
    ("pagefile", r"WinError 1455|paging file is too small"),
    ("install-failed", r"Couldn't install torch|satisfies the requirement "
     r"(?P<package>torch|torchvision|xformers|triton)==(?P<version>[\w.+]+)"
     r" \(from versions: (?P<offered>[^)]*)"),
    ("numpy-abi", r"_ARRAY_API not found|compiled using NumPy 1\.x|Numpy is not available|numpy\.dtype size changed"),
    ("import-name", rf"cannot import name '(?P<name>\w+)' from '(?P<package>(?:{_LIBRARIES})[\w.]*)'"),
    ("requires", rf"(?:requires )?(?P<package>{_LIBRARIES.replace('_', '[_-]')})"
     r" ?(?P<wanted>[<>=!~]=?[\d.,<>= ]+\d)[^.]*(?:is required|to function|but)[^\d]*(?P<found>[\d.]+\d)?"),
    ("triton-missing", r"Cannot find a working triton|No module named '?triton|Triton is not installed"),
    ("compiler-missing", r"Failed to find C compiler|Python\.h: No such file"),
    ("torchvision", r"operator torchvision::nms does not exist|Couldn't load custom C\+\+ ops"),
    ("flash-attn", r"flash_attn\S*: undefined symbol|flash_attn\S*.*DLL load failed"),
    ("xformers-built", r"xFormers can't load|xFormers wasn't build with CUDA"),
    ("xformers-capability", r"but your GPU has capability \((?P<major>\d+), (?P<minor>\d+)\) \(too old\)"),
    ("xformers-cutlass", r"cutlassF\S* is not supported"),
    ("xformers-missing", r"ModuleNotFoundError: No module named 'xformers'"),
    ("bitsandbytes", r"CUDA SETUP: (?:CUDA (?:detection failed|version lower)"
     r"|Required library.*not)|libbitsandbytes_cpu"),
    ("bf16", r"Bfloat16 is only supported on GPUs|bfloat16.{0,40}not (?:supported|implemented)"),
    ("nan-image", r"invalid value encountered in cast|A tensor with (?:all )?NaNs was produced"),
    ("mps-float64", r"convert a MPS Tensor to float64|MPS framework doesn't support float64"),
    ("mps-op", r"not currently (?:implemented|supported).{0,30}MPS"),
    ("mps-half", r"LayerNormKernelImpl.{0,30}Half|addmm_impl_cpu_.{0,30}Half|f16.*f32.*mps"),
    ("half-asked", r"torch_dtype\W{1,3}torch\.float16"),
    ("hip-no-binary", r"hipErrorNoBinaryForGpu|HIP error: invalid device function"),
    ("rocm-group", r"user name to check for video group|Unable to open /dev/kfd|/dev/kfd.*[Pp]ermission"),
    ("foreign-pip", r"(?:portable|python_embeded).{0,120}>\s*pip3? install"),
    ("arch-range", r"which is of cuda capability (?P<major>\d+)\.(?P<minor>\d+)"),
)  # fmt: skip

_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in PATTERNS)
_SIZE = r"([\d.]+) ?([KMGT]?i?B|bytes)"
_UNITS = {"b": 1, "bytes": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZES = {
    "requested": rf"(?:Tried to allocate|Requested\s*:) ?{_SIZE}",
    "total": rf"(?:total capaci?ty of {_SIZE}|{_SIZE} total capacity|Device limit\s*: ?{_SIZE})",
    "free": rf"(?:of which {_SIZE} is free|{_SIZE} free(?! .acc)|Free \(according to CUDA\)\s*: ?{_SIZE})",
    "allocated": rf"(?:{_SIZE} is allocated by PyTorch|{_SIZE} already allocated|Currently allocated\s*: ?{_SIZE})",
    "unallocated": rf"{_SIZE} is reserved by PyTorch but unallocated",
    "reserved": rf"{_SIZE} reserved in total by PyTorch",
}  # fmt: skip
_MEMORY = re.compile(r"CUDA out of memory|OutOfMemoryError|HIP out of memory", re.I)
_BUILT_FOR = re.compile(r"PyTorch (?P<built>[\w.+]+) with CUDA \w+ \(you have (?P<here>[\w.+]+)\)")


def messages_in(lines: tuple[str, ...]) -> tuple[Message, ...]:
    """The first line of each kind, with what can be parsed out of it, in the order of the table."""
    found: dict[str, Message] = {}
    for line in lines:
        for kind, pattern in _COMPILED:
            match = pattern.search(line) if kind not in found else None
            if match:
                values = {name: value for name, value in match.groupdict().items() if value}
                found[kind] = Message(kind=kind, text=line[:300], values=values)
        built = _BUILT_FOR.search(line)
        if built:
            pair = Message(kind="xformers-pair", text=line[:300], values=built.groupdict())
            found.setdefault("xformers-pair", pair)
    memory = _out_of_memory(lines)
    return (*found.values(), *memory)


def _out_of_memory(lines: tuple[str, ...]) -> tuple[Message, ...]:
    at = next((index for index, line in enumerate(lines) if _MEMORY.search(line)), None)
    if at is None:
        return ()
    near = " ".join(lines[max(0, at - 6) : at + 8])
    # The newer form runs over one line; ComfyUI's allocator writes its numbers on lines beside it.
    values = {name: size for name, pattern in _SIZES.items() if (size := _bytes(pattern, near)) is not None}
    return (Message(kind="out-of-memory", text=lines[at][:300], values=values),)


def _bytes(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text, re.I)
    if match is None:
        return None
    number, unit = [group for group in match.groups() if group is not None][:2]
    try:
        factor = _UNITS["bytes" if unit.lower() == "bytes" else unit.lower()[0]]
        return str(int(float(number) * factor))
    except (ValueError, OverflowError):
        return None
