"""torch's caching allocator for CUDA, replayed without a card: what is allocated, what is reserved, what fails.

The rules are those of c10/cuda/CUDACachingAllocator.cpp (torch 2.13) with its default configuration: sizes are
rounded up to 512 bytes; up to 1 MiB comes out of segments of 2 MiB; below 10 MiB out of segments of 20 MiB; larger
ones get segments of their own, rounded up to 2 MiB. The smallest free block that is large enough is taken, and split
only if the rest is worth it; a block that is not split counts as allocated whole. Before it gives up, the allocator
returns all segments that are entirely free.
"""

from __future__ import annotations

from bisect import bisect_left, insort

_BLOCK = 512
_SMALL = 2**20
_SMALL_SEGMENT = 2 * 2**20
_LARGE_SEGMENT = 20 * 2**20
_LARGE = 10 * 2**20
_ROUND = 2 * 2**20


class OutOfMemory(Exception):
    """An allocation found no room below the limit. Bytes."""

    def __init__(self, wanted: int, reserved: int) -> None:
        super().__init__(f"{wanted} bytes beside {reserved} reserved ones")
        self.wanted = wanted
        self.reserved = reserved


class Block:
    """A piece of a segment, in use or free."""

    __slots__ = ("after", "before", "free", "key", "size", "small")

    def __init__(self, key: int, size: int, small: bool) -> None:
        self.key = key
        self.size = size
        self.small = small
        self.free = False
        self.before: Block | None = None
        self.after: Block | None = None


class CachingAllocator:
    """One device. ``limit`` bytes may be reserved; None: any number."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.allocated = 0
        self.reserved = 0
        self.peak_allocated = 0
        self.peak_reserved = 0
        self._keys = 0
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._blocks: dict[int, Block] = {}

    def reset_peaks_of_allocated(self) -> None:
        """Begin a new peak of what is allocated; that of what is reserved stays."""
        self.peak_allocated = self.allocated

    def allocate(self, size: int) -> Block:
        """Take ``size`` bytes. Raises OutOfMemory."""
        size = max(_BLOCK, -(-size // _BLOCK) * _BLOCK)
        small = size <= _SMALL
        pool = self._free[small]
        place = bisect_left(pool, (size, -1))
        found = pool.pop(place)[1] if place < len(pool) else None
        block = self._segment(size, small) if found is None else self._blocks[found]
        rest = block.size - size
        if rest >= _BLOCK if small else rest > _SMALL:
            self._split(block, size)
        block.free = False
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def release(self, block: Block) -> None:
        """Give a block back; it is joined with free neighbours."""
        self.allocated -= block.size
        for other in (block.before, block.after):
            if other is not None and other.free:
                self._forget(other)
                block.size += other.size
                if other is block.before:
                    block.before = other.before
                    if other.before is not None:
                        other.before.after = block
                else:
                    block.after = other.after
                    if other.after is not None:
                        other.after.before = block
                del self._blocks[other.key]
        block.free = True
        insort(self._free[block.small], (block.size, block.key))

    def empty_cache(self) -> None:
        """Return all segments that are entirely free."""
        for small in (True, False):
            for _, key in list(self._free[small]):
                block = self._blocks[key]
                if block.before is None and block.after is None:
                    self._forget(block)
                    self.reserved -= block.size
                    del self._blocks[key]

    def _segment(self, size: int, small: bool) -> Block:
        whole = _SMALL_SEGMENT if small else _LARGE_SEGMENT if size < _LARGE else -(-size // _ROUND) * _ROUND
        if self.limit is not None and self.reserved + whole > self.limit:
            self.empty_cache()
            if self.reserved + whole > self.limit:
                raise OutOfMemory(size, self.reserved)
        self.reserved += whole
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return self._block(whole, small)

    def _block(self, size: int, small: bool) -> Block:
        self._keys += 1
        block = Block(self._keys, size, small)
        self._blocks[block.key] = block
        return block

    def _split(self, block: Block, size: int) -> None:
        rest = self._block(block.size - size, block.small)
        rest.before, rest.after = block, block.after
        if block.after is not None:
            block.after.before = rest
        block.after = rest
        block.size = size
        rest.free = True
        insort(self._free[rest.small], (rest.size, rest.key))

    def _forget(self, block: Block) -> None:
        pool = self._free[block.small]
        del pool[bisect_left(pool, (block.size, block.key))]
