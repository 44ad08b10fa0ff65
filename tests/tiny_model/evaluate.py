"""Asks the built-in model for prompts it never saw and lets the judge say how many pictures are right.

`python -m tiny_model.evaluate` from the folder `tests`; `--json FILE` and `--sheet FILE` write the figures and a contact
sheet. The judge is first tried on clean drawings of the same scenes: what it gets wrong there is its own error.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from tiny_model.architecture import MODEL_FOLDER
from tiny_model.dataset import Question, picture, questions
from tiny_model.judge import Verdict, judge

from tuner.models import recommended, resolve

SHEET_PROMPTS = (
    "a large red circle on a blue background",
    "a yellow star on a purple background",
    "two small yellow triangles above a green square",
    "a white heart on a red background",
    "a small orange ring in the top left corner, black background",
    "three blue diamonds on a white background",
    "a green cross on a pink background",
    "a purple square to the left of an orange circle",
    "a big brown triangle on a cyan background",
    "a gray star in the bottom right corner on a yellow background",
    "a pink heart below two white circles on a blue background",
    "a black ring",
)
_CAPTION = 26


def load(folder: Path = MODEL_FOLDER) -> Any:
    """The pipeline, as anybody would load it."""
    import torch
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Any, prompt: str, seed: int, steps: int, guidance: float | None = None) -> np.ndarray:
    """One picture as bytes; ``guidance`` None leaves the pipeline's own."""
    import torch

    more = {} if guidance is None else {"guidance_scale": guidance}
    generator = torch.Generator().manual_seed(seed)
    image = pipeline(prompt, num_inference_steps=steps, generator=generator, output_type="np", **more).images[
        0
    ]
    return np.round(image * 255).astype(np.uint8)


def summary(asked: Sequence[Question], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Counts for one-shape prompts and for the others: how many of how many are right."""
    groups: dict[str, Any] = {}
    for name, single in (("one_shape", True), ("several_shapes", False)):
        chosen = [
            verdict
            for question, verdict in zip(asked, verdicts, strict=True)
            if question.scene.one_shape is single
        ]
        groups[name] = {
            "prompts": len(chosen),
            "shape_and_background_colour": int(sum(v.colours and v.background for v in chosen)),
            **{
                field: int(sum(getattr(verdict, field) for verdict in chosen))
                for field in ("background", "colours", "shapes", "counts", "places")
            },
        }
    return groups


def text(groups: dict[str, Any]) -> Iterable[str]:
    """The summary as lines for people."""
    for name, figures in groups.items():
        prompts = figures["prompts"]
        yield f"{name.replace('_', ' ')}: {prompts} prompts"
        for field, right in figures.items():
            if field != "prompts" and prompts:
                yield f"  {field.replace('_', ' '):28} {right:4} right, {100 * right / prompts:5.1f} %"


def contact_sheet(pipeline: Any, steps: int, guidance: float, seed: int) -> Image.Image:
    """Twelve pictures with their prompts, four in a row; nothing is picked by hand, every picture has the same seed."""
    side, gap, columns = 128, 12, 4
    rows = len(SHEET_PROMPTS) // columns
    tile = side * 2
    sheet = Image.new("RGB", (columns * (tile + gap) + gap, rows * (tile + _CAPTION + gap) + gap), "white")
    pencil = ImageDraw.Draw(sheet)
    for index, prompt in enumerate(SHEET_PROMPTS):
        x = gap + index % columns * (tile + gap)
        y = gap + index // columns * (tile + _CAPTION + gap)
        image = Image.fromarray(draw(pipeline, prompt, seed, steps, guidance))
        sheet.paste(image.resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
        first, second = _halves(prompt)
        pencil.text((x, y + tile + 2), first, fill="black")
        pencil.text((x, y + tile + 13), second, fill="black")
    return sheet


def _halves(prompt: str) -> tuple[str, str]:
    if len(prompt) <= 40:
        return prompt, ""
    cut = prompt.rindex(" ", 0, 40)
    return prompt[:cut], prompt[cut + 1 :]


def main() -> None:
    """Read the command line, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--guidance",
        type=float,
        default=recommended(resolve("builtin:tiny")).guidance,
        help="guidance scale (default: %(default)s, as sdoctor draws with it)",
    )
    parser.add_argument("--json", type=Path, help="write the figures and every verdict here")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 12 pictures here")
    options = parser.parse_args()
    asked = questions(options.prompts)
    clean = summary(
        asked, [judge(picture(question.scene, question.seed), question.scene) for question in asked]
    )
    pipeline = load(options.model)
    draw(pipeline, "warm up", 0, 2)
    began = time.perf_counter()
    pictures = [draw(pipeline, q.prompt, q.seed, options.steps, options.guidance) for q in asked]
    seconds = (time.perf_counter() - began) / len(asked)
    verdicts = [judge(drawn, question.scene) for drawn, question in zip(pictures, asked, strict=True)]
    groups = summary(asked, verdicts)
    print(f"{options.steps} steps, {seconds:.2f} s per picture (mean)")
    print("\n".join(text(groups)))
    print("the judge on clean drawings of the same scenes:")
    print("\n".join(text(clean)))
    if options.json:
        detail = [
            {"prompt": q.prompt, "seed": q.seed, **{k: bool(v) for k, v in asdict(verdict).items()}}
            for q, verdict in zip(asked, verdicts, strict=True)
        ]
        result = {
            "steps": options.steps,
            "guidance": options.guidance,
            "model": groups,
            "clean": clean,
            "prompts": detail,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.sheet:
        contact_sheet(pipeline, options.steps, options.guidance, seed=1).save(options.sheet, optimize=True)


if __name__ == "__main__":
    main()
