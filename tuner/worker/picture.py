"""Writing PNG files that say how they were made."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from doctor.paths import write_atomically


def save_png(image: Any, path: Path, prompt: str, record: dict[str, Any]) -> None:
    """Write a PIL image with its making in two text chunks, atomically.

    ``sdoctor`` holds ``record`` as JSON; ``parameters`` holds the line format that most galleries and
    web UIs read. Raises OSError.
    """
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    settings = ", ".join(
        f"{name}: {value}" for name, value in record["settings"].items() if value is not None
    )
    info.add_itxt(
        "parameters",
        f"{prompt}\nSteps: {record['steps']}, Seed: {record['seed']}, Size: {record['width']}x{record['height']}, "
        f"Model: {record['model']}, {settings}",
    )
    info.add_itxt("sdoctor", json.dumps(record, ensure_ascii=False))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info)
    write_atomically(path, buffer.getvalue())
