"""The table of cards, and finding a card by whatever people call it."""

from __future__ import annotations

import pytest

from doctor.cards import cards, find_card, meant_by, nearest
from doctor.errors import UsageError
from doctor.sizes import GIB


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("RTX 3060", "NVIDIA GeForce RTX 3060 12GB"),
        ("rtx3060ti", "NVIDIA GeForce RTX 3060 Ti"),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "NVIDIA GeForce RTX 3060 Laptop"),
        ("Tesla T4", "NVIDIA T4"),
        ("T4 16 GB", "NVIDIA T4"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe 80GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 SXM4 80GB"),
        ("RTX 3080", "NVIDIA GeForce RTX 3080 10GB"),
        ("4090", "NVIDIA GeForce RTX 4090"),
    ],
)
def test_a_card_is_found_by_the_names_that_people_and_drivers_use(text, name):
    assert find_card(text).name == name


def test_of_several_the_smallest_is_taken_and_all_are_told():
    assert [card.memory_gib for card in meant_by("RTX 3080")] == [10, 12]


def test_every_driver_name_of_the_table_means_itself():
    assert [card.name for card in cards() if card not in meant_by(card.name)] == []


def test_an_unknown_card_lists_the_nearest_names():
    with pytest.raises(
        UsageError, match="RTX 3061' is not known; the nearest names are NVIDIA GeForce RTX 3060"
    ):
        find_card("RTX 3061")
    assert nearest("rtx 409")[0].startswith("NVIDIA GeForce RTX 409")
    with pytest.raises(UsageError):
        find_card("NVIDIA")


def test_every_row_has_a_source_and_plausible_figures():
    assert len({card.name for card in cards()}) == len(cards()) > 70
    for card in cards():
        assert card.source
        assert 2 <= card.memory_gib <= 200
        assert 50 <= card.bandwidth_gbs <= 10_000
        assert card.tensor_tflops is None or card.tensor_tflops > card.fp32_tflops
        assert (card.tensor_tflops is None) == (card.capability < (7, 0) or "GTX 16" in card.name)


def test_error_correction_takes_its_share():
    assert find_card("T4").memory_bytes == 15 * GIB
    assert find_card("RTX 3090").memory_bytes == 24 * GIB


def test_pcie_doubles_with_each_generation():
    assert find_card("P100").pcie_bytes == pytest.approx(15.8e9, rel=0.01)
    assert find_card("RTX 5060").pcie_bytes == pytest.approx(31.5e9, rel=0.01)
