"""Amounts of memory and picture sizes as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.errors import UsageError
from doctor.sizes import GIB, MIB, gib, parse_amount, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GiB", 4 * GIB),
        ("6000MiB", 6000 * MIB),
        ("4G", 4 * GIB),
        (" 1.5 gib ", 3 * GIB // 2),
        ("8GB", 8 * GIB),
    ],
)
def test_amounts(text: str, expected: int) -> None:
    assert parse_amount(text) == expected


def test_a_fraction_is_of_the_whole_device() -> None:
    assert parse_amount("0.5", whole=8 * GIB) == 4 * GIB
    with pytest.raises(UsageError, match="not known"):
        parse_amount("0.5")


@pytest.mark.parametrize("text", ["", "lots", "4", "-1GiB", "0GiB", "4 TiBs", "1e3MiB", "GiB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_amount(text, whole=GIB)


@given(st.text())
def test_any_text_is_an_amount_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_amount(text, whole=GIB) > 0


@given(st.integers(1, 2**40))
def test_whole_mebibytes_read_back(count: int) -> None:
    assert parse_amount(f"{count}MiB") == count * MIB


@given(st.integers(1, 999999), st.integers(1, 999999))
def test_sizes_read_back(width: int, height: int) -> None:
    assert parse_size(f"{width}x{height}") == (width, height)
    assert parse_size(f"{width}") == (width, width)


@given(st.text())
def test_any_text_is_a_size_or_a_usage_error(text: str) -> None:
    try:
        width, height = parse_size(text)
    except UsageError:
        return
    assert width > 0
    assert height > 0


def test_sizes_for_people() -> None:
    assert [gib(count) for count in (None, 0, 320 * MIB, 3 * GIB // 2)] == [
        "unknown",
        "0 MiB",
        "320 MiB",
        "1.50 GiB",
    ]
