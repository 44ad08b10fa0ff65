"""Telling one way of failing from another, by exception type and by the libraries' own texts."""

from __future__ import annotations

import re

from doctor.trace import Outcome

# Texts of running out of memory that do not come as torch.OutOfMemoryError or MemoryError:
# torch's CPU allocator (c10/core/impl/alloc_cpu.cpp), oneDNN's status text for a failed primitive,
# cuBLAS and cuDNN handles that find no room, C++'s and the C library's own words.
_MEMORY_TEXT = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|out of memory|std::bad_alloc"
    r"|could not create a (primitive|memory)|could not execute a primitive"
    r"|CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)|CUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)"
    r"|can't start new thread|OMP: Error #\d+: .*memory|libgomp: Thread creation failed",
    re.IGNORECASE,
)


def is_out_of_memory_text(text: str) -> bool:
    """Whether a message or the last words of a dead process speak of memory that could not be had."""
    return _MEMORY_TEXT.search(text) is not None


def outcome_of(error: BaseException) -> Outcome:
    """OUT_OF_MEMORY or CRASHED, following the chain of causes."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return Outcome.OUT_OF_MEMORY
        if is_out_of_memory_text(str(seen)):
            return Outcome.OUT_OF_MEMORY
        seen = seen.__cause__ or seen.__context__
    return Outcome.CRASHED
