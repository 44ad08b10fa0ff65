"""Settings as a diffusers script that runs by itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from tuner.knobs import KNOBS
from tuner.knobs.fewer_steps import steps_left
from tuner.models import ModelKind, ModelRef, Recommended, has_weights
from tuner.settings import Settings

_DTYPES = {"fp32": "torch.float32", "fp16": "torch.float16", "bf16": "torch.bfloat16"}
_USUAL_STEPS = 30
_USUAL_PARTS = ("vae", "text_encoder")
# These compute another size and stretch the picture to the one that was asked for, unless told not to.
_BINNING = ("PixArt", "Sana")


def script(
    model: ModelRef,
    settings: Settings,
    *,
    device: str,
    pipeline: str | None,
    components: Collection[str] = (),
    size: tuple[int, int],
    recommended: Recommended,
    remarks: tuple[str, ...],
) -> str:
    """The text of a Python program: ``python FILE "PROMPT" [PICTURE.png]``.

    ``device`` as torch names it; ``pipeline`` is diffusers' class name and
    ``components`` the names of its models where they are known; ``size`` is (width, height)
    in pixels; ``remarks`` are put at the top.
    """
    lines = [
        '"""Draws one picture with diffusers, set up as sdoctor tuned it.',
        "",
        '    python SCRIPT "a prompt" [picture.png]',
        "",
        *remarks,
        '"""',
        "",
        "import sys",
        "",
        "import torch",
        *_loading(model, settings, pipeline or "DiffusionPipeline", components or _USUAL_PARTS),
        'denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)',
        f"device = {json.dumps(device)}",
    ]
    for knob in KNOBS:
        lines += knob.script(getattr(settings, knob.name))
    steps = steps_left(recommended.steps or _USUAL_STEPS, settings.fewer_steps)
    lines += ["", *_drawing(size, steps, recommended, pipeline or "")]
    return "\n".join(lines) + "\n"


def _loading(
    model: ModelRef, settings: Settings, pipeline: str, components: Collection[str]
) -> Iterator[str]:
    if model.kind is ModelKind.BUILTIN and not (model.path and has_weights(model.path)):
        # There is nothing that diffusers alone could load.
        yield "from tuner.models import resolve  # of the package sdoctor, which holds this model"
        yield "from tuner.worker.build import dtypes_of, load_pipeline, torch_dtype"
        yield "from tuner.settings import Settings"
        yield ""
        values = settings.differences(Settings())
        formats = {name: value for name, value in values.items() if name.endswith("precision")}
        named = ", ".join(f"{name}={json.dumps(value)}" for name, value in formats.items())
        yield f"formats = Settings({named})"
        yield f"model = resolve({json.dumps(model.name)})"
        yield "pipe = load_pipeline(model, torch_dtype(formats.precision), dtypes=dtypes_of(formats))"
        return
    yield f"from diffusers import {pipeline}"
    yield ""
    own = {name: settings.precision_of(name) for name in components}
    others = {name: value for name, value in own.items() if value != settings.precision}
    dtype = _DTYPES[settings.precision]
    where = str(model.path) if model.path is not None else model.name
    if model.kind is ModelKind.FILE:
        yield f"pipe = {pipeline}.from_single_file({json.dumps(where)}, torch_dtype={dtype})"
        for name, value in others.items():
            yield f'if getattr(pipe, "{name}", None) is not None:'
            yield f"    pipe.{name}.to({_DTYPES[value]})"
        return
    if others:
        parts = ", ".join(f'"{name}": {_DTYPES[value]}' for name, value in others.items())
        dtype = f'{{"default": {dtype}, {parts}}}'
    yield f"pipe = {pipeline}.from_pretrained("
    yield f"    {json.dumps(where)},"
    yield f"    torch_dtype={dtype},"
    yield "    use_safetensors=True,"
    if pipeline == "StableDiffusionPipeline":
        yield "    safety_checker=None,"
    yield ")"


def _drawing(size: tuple[int, int], steps: int, recommended: Recommended, pipeline: str) -> Iterator[str]:
    yield "with torch.inference_mode():"
    yield "    picture = pipe("
    yield "        sys.argv[1],"
    yield f"        width={size[0]},"
    yield f"        height={size[1]},"
    yield f"        num_inference_steps={steps},"
    if recommended.guidance is not None:
        yield f"        guidance_scale={recommended.guidance},"
    if pipeline.startswith(_BINNING):
        yield "        use_resolution_binning=False,"
    yield '        generator=torch.Generator("cpu").manual_seed(0),'
    yield "    ).images[0]"
    yield 'picture.save(sys.argv[2] if len(sys.argv) > 2 else "picture.png")'
