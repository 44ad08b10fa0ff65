"""Which torch is installed, from its files. Importing it costs seconds and fails exactly when it matters."""

from __future__ import annotations

import ast
import importlib.util
import mmap
import re
from pathlib import Path

from doctor.facts import TorchBuild
from doctor.gather.reading import Reading
from doctor.gather.redact import Redactor

_ARCHITECTURES = re.compile(rb"(?:(?:sm|compute)_\d{2,3}[af]?(?: |$))+")
_WANTED = ("__version__", "cuda", "hip")


def read_torch(redactor: Redactor) -> Reading:
    """``TorchBuild`` of the torch that this interpreter would import; None (not unread) if there is none."""
    reading = Reading(parts={"torch": None})
    folder = reading.attempt("torch", _find)
    if folder is None:
        return reading
    names = reading.attempt("torch", lambda: parse_version(_text(folder / "version.py")))
    if names is None:
        return reading
    version, cuda, hip = (names.get(name) for name in _WANTED)
    architectures = None
    if version is None:
        reading.miss("torch.version", "torch/version.py names no version")
    if cuda is not None:
        library = folder / "lib" / "libtorch_python.so"
        architectures = reading.attempt("torch.architectures", lambda: _architectures(library))
    reading.parts["torch"] = TorchBuild(
        version=version, cuda=cuda, hip=hip, architectures=architectures, path=redactor.text(str(folder))
    )
    return reading


def parse_version(text: str) -> dict[str, str | None]:
    """The plain assignments of torch's ``version.py`` ("__version__", "cuda", "hip"), read without running
    it.

    Raises ValueError if the text is not Python.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"torch/version.py cannot be read: {error}") from error
    found: dict[str, str | None] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
            value = node.value
        elif isinstance(node, ast.Assign):
            targets, value = list(node.targets), node.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in _WANTED and isinstance(value, ast.Constant):
                found[target.id] = value.value if isinstance(value.value, str) else None
    return found


def find_architectures(content: bytes | mmap.mmap) -> tuple[str, ...]:
    """The list of GPU architectures that torch's Python library carries as plain text; () if there is none.

    torch compiles it in for ``torch.cuda.get_arch_list()`` (pytorch/pytorch torch/csrc/cuda/Module.cpp,
    CUDA_ARCH_FLAGS). Single names occur elsewhere in the library too: the longest list is the one.
    """
    longest: list[str] = []
    # A search for fixed bytes takes 10 ms for these 30 MB, a regular expression 130 ms.
    at = content.find(b"\0sm_")
    while at >= 0:
        end = content.find(b"\0", at + 1)
        text = content[at + 1 : end if 0 <= end <= at + 1000 else at + 1000]
        if _ARCHITECTURES.fullmatch(text) and len(text.split()) > len(longest):
            longest = text.decode().split()
        at = content.find(b"\0sm_", at + 1)
    return tuple(longest)


def _find() -> Path | None:
    spec = importlib.util.find_spec("torch")
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        raise ValueError("the module 'torch' that would be imported is not a package")
    return Path(next(iter(spec.submodule_search_locations)))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _architectures(library: Path) -> tuple[str, ...] | None:
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = find_architectures(content)
    if not found:
        raise ValueError(f"{library.name} holds no list of architectures")
    return found
