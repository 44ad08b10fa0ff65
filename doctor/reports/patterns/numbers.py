"""Number formats: NaN, black pictures, half precision and bfloat16 where they do not work."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("nan-vae", r"tensor with (?:all )?NaNs was produced in (?:the )?VAE|VAE.{0,40}produced NaN"
         r"|NaN in VAE"
        r"|VAE.{0,60}(?:black|NaN)"),
    Row("nan-unet", r"tensor with (?:all )?NaNs was produced in (?:the )?U-?net"
         r"|video card does not support half type"),
    Row("nan-image", r"invalid value encountered in cast|A tensor with (?:all )?NaNs was produced"
         r"|NansException"),
    Row("black-image", r"\b(?:black|green|all[- ]black) (?:images?|pictures?|output|squares?|screen)\b"
        r"|images? (?:is|are|comes? out|turns?) (?:all |completely |just |only )?(?:black|green)\b"),
    Row("vae-or-sdxl", r"\bVAE\b|\bSD[ _-]?XL\b|\bXL (?:model|base)"),
    Row("fp16-meant", r"\bfp16\b|float16|half[ -]precision"),
    Row("nsfw", r"Potential NSFW content was detected"),
    Row("bf16", r"bfloat16 is only supported on|bf16 mixed precision requires|bf16 is only supported on"
         r"|bfloat16.{0,40}not (?:supported"
         r"|implemented)"
        r"|does(?:n'?t| not) support bf(?:loat)?16|not (?:supported|implemented) for 'BFloat16'"
        r"|not implemented for BFloat16"
        r"|unsupported ScalarType BFloat16|BFloat16 is not supported|bf16 .{0,30}(?:not supported"
        r"|requires Ampere)",
        unless=r"\bMPS\b|\bmps\b|macos"),
    Row("half-asked", r"torch_dtype\W{1,3}torch\.float16|\.half\(\)"),
    Row("half-cpu", r"not implemented for 'Half'|addmm_impl_cpu_.{0,30}Half"
         r"|cannot (?:be )?run(?:ning)? with `?(?:cpu|float16)`? .{0,60}(?:float16|cpu)"),
    Row("fp8", r"Float8_e\dm\d\w*.{0,80}not (?:implemented|supported)|not implemented for 'Float8"
         r"|fp8.{0,40}(?:requires|not supported)"),
    Row("dtype-mix", r"expected (?:m1 and m2|mat1 and mat2|scalar type \w+ but found"
         r"|all tensors).{0,40}(?:same dtype|Half|Float|BFloat16|dtype)"
        r"|Input type \((?P<input>[\w.]+)\) and (?:weight"
        r"|bias) type \((?P<weight>[\w.]+)\) should be the same"),
    Row("gtx16-flags", r"--no-half\b|--precision full|--upcast-sampling"),
)  # fmt: skip
