"""What a CUDA context takes of a card beside what torch's allocator reserves, by the card.

A context keeps stack and local memory for every thread that can be resident, and the code of the kernels that ran, so it
grows with the number of multiprocessors and with the threads that one holds. The two rates are fitted to what torch says
when memory runs out ("this process has X in use. Of the allocated memory Y is allocated by PyTorch, and Z is reserved
but unallocated"): X - Y - Z in messages from T4 to RTX 5090 that people published, one by one in
``tests/benchmarks/cuda_contexts.py`` with their sources. The rule meets their medians within a quarter.
"""

from __future__ import annotations

from doctor.cards import Card
from doctor.sizes import MIB

UNKNOWN_BYTES = 400 * MIB
"""For a card whose multiprocessors are not known: "around 400MB" with kernels loaded when they are first used, by what
torch's maintainers say (pytorch/pytorch#109888)."""

# MiB for each multiprocessor. Chips that keep 2048 threads on one (CUDA C++ Programming Guide, table "Technical
# Specifications per Compute Capability") take more than those that keep 1024 or 1536.
_PER_FULL_MULTIPROCESSOR = 4.8
_PER_MULTIPROCESSOR = 3.5
LEAST_BYTES = 120 * MIB
"""No message from a card with fewer than 40 multiprocessors was found: none is taken to need less than the least of a T4."""
_KEEP_2048_THREADS = ((6, 0), (6, 1), (7, 0), (8, 0), (9, 0), (10, 0))


def context_bytes(card: Card | None) -> int:
    """Bytes of one process's context on that card, with torch, cuBLAS and cuDNN in use; None: a card not known."""
    if card is None:
        return UNKNOWN_BYTES
    keeps_2048 = card.capability in _KEEP_2048_THREADS
    each = _PER_FULL_MULTIPROCESSOR if keeps_2048 else _PER_MULTIPROCESSOR
    return max(LEAST_BYTES, int(card.multiprocessors * each * MIB))
