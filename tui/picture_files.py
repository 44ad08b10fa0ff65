"""Names for the pictures to be written: never over an existing file, unless it was named."""

from __future__ import annotations

import os
import re
from pathlib import Path

from doctor.errors import UsageError
from tuner.settings import Request

_LONGEST_NAME = 60


class PictureFiles:
    """Decides the paths. The place is checked at once, before minutes of drawing."""

    def __init__(self, output: str | None) -> None:
        """``output`` is a .png file, a folder, or None for a new file in the current folder. Raises UsageError."""
        path = Path(output).expanduser() if output else Path()
        self._file = path if output and path.suffix.lower() == ".png" and not path.is_dir() else None
        self._folder = path.parent if self._file else path
        if output and self._file is None and path.suffix and not path.is_dir():
            raise UsageError(
                f"Pictures are written as PNG: --output {output} must end in .png, or be a folder."
            )
        existing = next(
            (folder for folder in (self._folder, *self._folder.absolute().parents) if folder.exists()), None
        )
        if existing is None or not existing.is_dir() or not os.access(existing, os.W_OK):
            raise UsageError(
                f"No picture can be written to {self._folder.absolute()}: the folder is not writable."
            )

    def __call__(self, request: Request) -> tuple[str, ...]:
        """One absolute path per picture of the request."""
        if self._file is not None:
            stem, folder = self._file.stem, self._folder
        else:
            words = re.sub(r"[^a-z0-9]+", "-", request.prompt.lower()).strip("-")[:_LONGEST_NAME].strip("-")
            stem, folder = f"{words or 'picture'}-{request.seed}", self._folder
        names = [stem] if request.batch == 1 else [f"{stem}-{n + 1}" for n in range(request.batch)]
        return tuple(str(self._free(folder.absolute(), name)) for name in names)

    def _free(self, folder: Path, name: str) -> Path:
        path = folder / f"{name}.png"
        number = 2
        while self._file is None and path.exists():
            path = folder / f"{name}_{number}.png"
            number += 1
        return path
