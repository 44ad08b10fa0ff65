"""The replayed allocator keeps torch's rules; the properties hold for any order of requests."""

from __future__ import annotations

import random

import pytest

from tuner.caching_allocator import CachingAllocator, OutOfMemory

MIB = 2**20


def test_small_requests_share_a_segment_of_two_mebibytes():
    allocator = CachingAllocator()
    allocator.allocate(1)
    allocator.allocate(513)
    assert (allocator.allocated, allocator.reserved) == (512 + 1024, 2 * MIB)


def test_middle_requests_share_a_segment_of_twenty_mebibytes():
    allocator = CachingAllocator()
    for _ in range(4):
        allocator.allocate(5 * MIB)
    assert (allocator.allocated, allocator.reserved) == (20 * MIB, 20 * MIB)
    allocator.allocate(5 * MIB)
    assert allocator.reserved == 40 * MIB


def test_a_rest_of_one_mebibyte_is_not_split_off_and_counts_as_allocated():
    allocator = CachingAllocator()
    allocator.allocate(25 * MIB)
    assert (allocator.allocated, allocator.reserved) == (26 * MIB, 26 * MIB)


def test_free_neighbours_are_joined_and_used_again():
    allocator = CachingAllocator()
    blocks = [allocator.allocate(5 * MIB) for _ in range(4)]
    for block in (blocks[1], blocks[3], blocks[2]):
        allocator.release(block)
    allocator.allocate(9 * MIB)
    assert allocator.reserved == 20 * MIB


def test_before_it_fails_it_returns_what_is_free():
    allocator = CachingAllocator(limit=64 * MIB)
    kept = allocator.allocate(30 * MIB)
    allocator.release(allocator.allocate(20 * MIB))
    allocator.allocate(34 * MIB)
    assert allocator.reserved == 64 * MIB
    with pytest.raises(OutOfMemory):
        allocator.allocate(MIB)
    allocator.release(kept)
    allocator.allocate(MIB)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_books_balance(seed):
    chance = random.Random(seed)
    allocator = CachingAllocator()
    live = []
    for _ in range(2000):
        if live and chance.random() < 0.5:
            allocator.release(live.pop(chance.randrange(len(live))))
        else:
            wanted = int(2 ** chance.uniform(4, 26))
            live.append(allocator.allocate(wanted))
            assert live[-1].size >= wanted
        assert allocator.allocated == sum(block.size for block in live) <= allocator.reserved
    for block in live:
        allocator.release(block)
    allocator.empty_cache()
    assert (allocator.allocated, allocator.reserved) == (0, 0)
