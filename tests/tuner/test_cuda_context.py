"""The rule for a CUDA context's size, against what torch's own messages left beside its allocator."""

from __future__ import annotations

import statistics

import pytest
from benchmarks.cuda_contexts import MESSAGES

from doctor.cards import find_card
from doctor.sizes import GIB, MIB
from tuner.cuda_context import LEAST_BYTES, UNKNOWN_BYTES, context_bytes
from tuner.device_model import device_of_card, device_of_memory


@pytest.mark.parametrize("name", dict.fromkeys(message.card for message in MESSAGES))
def test_the_rule_meets_published_messages_within_a_quarter(name):
    left = statistics.median(message.left_mib for message in MESSAGES if message.card == name)
    assert context_bytes(find_card(name)) / MIB == pytest.approx(left, rel=0.25)


def test_a_small_card_keeps_more_for_pictures_than_a_large_one():
    small, large = (device_of_card(find_card(name)) for name in ("GTX 1650", "RTX 5090"))
    assert small.context_bytes == LEAST_BYTES < 500 * MIB < large.context_bytes


def test_a_card_that_is_not_known_gets_the_general_figure():
    device = device_of_memory(8 * GIB)
    assert device.context_bytes == UNKNOWN_BYTES
    assert device.budget == 8 * GIB - UNKNOWN_BYTES
