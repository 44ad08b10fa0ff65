"""Gallery: what generate made, newest first. An index of one line per picture; the pictures stay where they are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from doctor.paths import data_dir, write_atomically
from tui.orders import Order
from tuner.generation import Wish
from tuner.settings import Request, Settings

SCHEMA = "sdoctor.gallery/1"
MOST = 2000
"""Pictures listed; the index is cut to these when it has grown to twice as many."""
_LONGEST_FILE = 64 << 20
"""Bytes. A larger file is not one that this module wrote; it is not read."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One picture and how it was made. Sizes in pixels, seconds of the whole batch as the worker measured them."""

    at: str
    path: str
    model: str
    prompt: str
    seed: int
    width: int
    height: int
    steps: int
    negative_prompt: str | None = None
    guidance: float | None = None
    settings: Settings
    device: str | None = None
    seconds: float | None = None
    batch: int = 1

    @property
    def exists(self) -> bool:
        """Whether the picture is still there."""
        return Path(self.path).is_file()

    def order(self) -> Order:
        """What draws it again, with the settings of the profile."""
        return Order(
            model=self.model,
            wish=Wish(
                prompt=self.prompt,
                negative_prompt=self.negative_prompt,
                width=self.width,
                height=self.height,
                steps=self.steps,
                guidance=self.guidance,
                seed=self.seed,
            ),
        )


def gallery_file() -> Path:
    """The index, readable by the user only: it holds prompts."""
    return data_dir() / "gallery.jsonl"


def pieces_of(
    images: Iterable[str],
    request: Request,
    *,
    model: str,
    settings: Settings,
    device: str,
    seconds: float | None,
) -> list[Piece]:
    """One entry per picture of a batch; picture n is the picture of seed + n."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Piece(
            at=at,
            path=path,
            model=model,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            seed=request.seed + number,
            width=request.width,
            height=request.height,
            steps=request.steps,
            guidance=request.guidance,
            settings=settings,
            device=device,
            seconds=seconds,
            batch=request.batch,
        )
        for number, path in enumerate(images)
    ]


def remember(pieces: Iterable[Piece]) -> None:
    """Append to the index. Raises OSError."""
    path = gallery_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "wb") as file:
        # One write, so that another program that appends at the same time does not tear a line.
        file.write(b"".join(msgspec.json.encode(piece) + b"\n" for piece in pieces))
    if path.stat().st_size > 2 * MOST * 1000:
        kept = _read(path)[-MOST:]
        write_atomically(path, b"".join(msgspec.json.encode(one) + b"\n" for one in kept), private=True)


def gallery() -> list[Piece]:
    """The newest pictures first, also those whose file is gone. A file that cannot be read is an empty gallery."""
    return _read(gallery_file())[-MOST:][::-1]


def _read(path: Path) -> list[Piece]:
    decoder = msgspec.json.Decoder(Piece)
    try:
        if path.stat().st_size > _LONGEST_FILE:
            return []
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(decoder.decode(line))
        except msgspec.DecodeError:
            continue  # torn by a full disk, or of a version to come
    return found


def as_document(pieces: Iterable[Piece]) -> str:
    """The JSON document of ``sdoctor generate --list --json``."""
    document = {
        "schema": SCHEMA,
        "pictures": [msgspec.to_builtins(piece) | {"exists": piece.exists} for piece in pieces],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_lines(pieces: Iterable[Piece]) -> str:
    """One line per picture, for people."""
    lines = [
        f"{piece.at}  {piece.path}{'' if piece.exists else ' (gone)'}  {piece.model}  "
        f"{piece.width}x{piece.height}, {piece.steps} steps, seed {piece.seed}: {piece.prompt}"
        for piece in pieces
    ]
    return "\n".join(lines) or "Nothing was made yet."
