"""Installed distributions from their ``.dist-info`` folders, as ``importlib.metadata`` finds them, in a third of the time.

``importlib.metadata`` brings the parsers of mail and of zip files, and reads every header of every package. Where
something else than folders holds packages (a zip file, an egg, a finder that somebody installed), it is asked all the same.

Source: packaging.python.org/en/latest/specifications/recording-installed-packages.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Distribution:
    """What of its metadata matters here."""

    version: str | None
    requires: tuple[str, ...]
    place: Path
    """The folder that its files lie in ("site-packages")."""


class _NotPlain(Exception):
    """Packages may be where folders do not show them."""


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 writes it: "Huggingface_Hub" -> "huggingface-hub"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(names: Iterable[str], path: Sequence[str] | None = None) -> dict[str, Path | None]:
    """Those of the (normalised) names that are installed, in their order -> the folder of their metadata.

    None stands for a folder where only ``importlib.metadata`` can tell. ``path``: in the place of ``sys.path``.
    """
    wanted = tuple(names)
    try:
        folders = _folders(sys.path if path is None else path, frozenset(wanted))
    except _NotPlain:
        return {name: None for name in wanted if _found_by_library(name)}
    return {name: folders[name] for name in wanted if name in folders}


def read(name: str, folder: Path | None) -> Distribution:
    """What ``find`` found. Raises OSError if the metadata cannot be read."""
    if folder is None:
        return _read_by_library(name)
    version: str | None = None
    requires: list[str] = []
    last = ""
    with (folder / "METADATA").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip("\r\n"):
                break  # the description follows; a line of blanks, though, is part of a folded licence
            if line[0] in " \t":
                if last == "requires-dist":
                    requires[-1] += "\n" + line.rstrip()
                continue
            key, colon, value = line.partition(":")
            if not colon:
                break
            last, value = key.lower(), value.strip()
            if last == "version" and version is None:
                version = value
            elif last == "requires-dist":
                requires.append(value)
    return Distribution(version, tuple(requires), folder.parent)


def _folders(path: Sequence[str], wanted: frozenset[str]) -> dict[str, Path]:
    """The first folder of each name. Raises _NotPlain."""
    finders = [one for one in sys.meta_path if hasattr(one, "find_distributions")]
    if any(getattr(one, "__name__", "") != "PathFinder" for one in finders):
        raise _NotPlain
    found: dict[str, Path] = {}
    for entry in path:
        if entry.lower().endswith(".egg"):
            raise _NotPlain
        try:
            children = os.listdir(entry or ".")  # noqa: PTH208  (names are all that is asked for)
        except NotADirectoryError:
            raise _NotPlain from None
        except OSError:
            continue  # as the import system does with a folder that is not there
        for child in children:
            stem, dot, kind = child.rpartition(".")
            if kind.lower() not in ("dist-info", "egg-info") or not dot:
                continue
            name = normalised(stem.partition("-")[0])
            if name not in wanted or name in found:
                continue
            if kind.lower() == "egg-info":
                raise _NotPlain
            found[name] = Path(entry or ".", child)
    return found


def _found_by_library(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _read_by_library(name: str) -> Distribution:
    from importlib import metadata

    found = metadata.distribution(name)
    return Distribution(
        found.metadata["Version"], tuple(found.requires or ()), Path(str(found.locate_file("")))
    )
