"""How fast is a file of the model cache read that is not in memory?

The kernel is asked to forget the part that is read (posix_fadvise, DONTNEED), and mincore tells whether it did: a file
that another program has mapped stays in memory, and reading it would measure that.
"""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path

from doctor.gather.disks import model_cache
from doctor.probes.say import NotApplicable, Say

LEAST, MOST = 32 * 2**20, 256 * 2**20
"""Bytes that are read: less would measure the first seek, more the patience."""

TIME_LIMIT = 1.0
"""Seconds after which a slow disk has told enough."""

CHUNK = 4 * 2**20
MOST_FILES = 20000


def measure(say: Say) -> None:
    """The largest file of the cache; or, while that is empty, torch's library if it lies on the same disk."""
    if not hasattr(os, "posix_fadvise"):
        raise NotApplicable("this system cannot be asked to forget a file that it has read")
    path, what = choose_file(model_cache(os.environ))
    say.note("file", what)
    say.during(f"reading {what}")
    with path.open("rb", buffering=0) as file:
        size = min(os.fstat(file.fileno()).st_size, MOST)
        # The page cache may hold the file; pages that are still to be written cannot be forgotten.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        held = resident_share(file.fileno(), size)
        if held > 0.05:
            raise NotApplicable(
                f"the kernel keeps {held:.0%} of {what} in memory, so reading it would not reach the disk"
            )
        started = time.perf_counter()
        count = 0
        while count < size and time.perf_counter() - started < TIME_LIMIT:
            count += len(file.read(CHUNK)) or size
        took = time.perf_counter() - started
    say.value("read", count / took / 1e6, "MB/s")
    say.value("bytes", count, "B")


def choose_file(cache: Path) -> tuple[Path, str]:
    """The file to read, and what to call it. Raises NotApplicable if there is none of a useful size."""
    largest = max(_files(cache), default=(0, cache))
    if largest[0] >= LEAST:
        return largest[1], "a model file of the cache"
    folder = next(place for place in (cache, *cache.absolute().parents) if place.exists())
    spec = importlib.util.find_spec("torch")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for size, library in sorted(_files(Path(place, "lib")), reverse=True):
            if size >= LEAST and library.stat().st_dev == folder.stat().st_dev:
                return library, "a library of torch, on the disk of the still empty model cache"
    raise NotApplicable("the model cache holds no file of 32 MiB or more")


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Sizes and paths of the files below ``folder``; the links that huggingface_hub makes are not followed."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            count += 1
            if count > MOST_FILES:
                return
            try:
                if not path.is_symlink():
                    yield path.stat().st_size, path
            except OSError:
                continue


def resident_share(descriptor: int, size: int) -> float:
    """The share of the first ``size`` bytes of a file that is in memory. Raises OSError if the kernel does not tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    pages = -(-size // mmap.PAGESIZE)
    found = (ctypes.c_ubyte * pages)()
    # A private mapping, because only a writable buffer tells its address; nothing is ever written to it.
    with mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        view = ctypes.c_char.from_buffer(mapped)
        try:
            if libc.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(size), found) != 0:
                raise OSError(ctypes.get_errno(), "mincore failed")
        finally:
            del view
    return sum(page & 1 for page in found) / pages
