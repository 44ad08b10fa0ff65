"""The compatibility tables and the rules over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor import compat
from doctor.compat import architectures_of, driver_at_least, driver_floor, runs_on, wheel_index


@pytest.mark.parametrize(
    ("code", "capability", "runs"),
    [
        ("sm_86", (8, 6), True),
        ("sm_86", (8, 9), True),  # RTX 40 runs the code of RTX 30
        ("sm_89", (8, 6), False),
        ("sm_80", (8, 9), True),
        ("sm_80", (9, 0), False),
        ("sm_120", (12, 1), True),
        ("sm_100", (10, 3), True),
        ("sm_100", (10, 1), False),
        ("sm_90a", (9, 0), True),
        ("sm_90a", (9, 1), False),
        ("sm_87", (8, 9), False),  # Jetson code runs on nothing else
        ("compute_80", (12, 0), True),
        ("compute_120", (8, 6), False),
        ("compute_90a", (12, 0), False),
        ("gfx1030", (8, 6), False),
    ],
)
def test_code_runs_on_the_same_major_and_a_newer_minor(
    code: str, capability: tuple[int, int], runs: bool
) -> None:
    assert runs_on(code, capability) is runs


@given(st.text(max_size=20), st.tuples(st.integers(0, 20), st.integers(0, 9)))
def test_any_text_is_an_architecture_or_runs_nowhere(text: str, capability: tuple[int, int]) -> None:
    assert runs_on(text, capability) in (True, False)


@given(st.text(max_size=20))
def test_any_text_is_a_version_or_none(text: str) -> None:
    assert compat.release(text) is None or all(number >= 0 for number in compat.release(text) or ())
    assert compat.minor_release(text) is None or len(compat.minor_release(text) or ()) == 2
    assert driver_at_least(text, "525.60.13") in (True, False, None)


def test_only_the_major_version_of_cuda_decides_about_the_driver() -> None:
    assert driver_floor("12.0", "Linux") == driver_floor("12.8", "Linux") == "525.60.13"
    assert driver_floor("12.8", "Windows") == "528.33"
    assert driver_floor("13.2", "Linux") == "580.65.06"
    assert driver_floor("99.0", "Linux") is None
    assert driver_at_least("550.54.14", "525.60.13") is True
    assert driver_at_least("470.223.02", "525.60.13") is False


@pytest.mark.parametrize(
    ("torch", "cuda", "has", "lacks"),
    [
        ("2.5.1+cu121", "12.1", "sm_60", "sm_120"),
        ("2.7.1+cu128", "12.8", "sm_120", "sm_37"),
        ("2.7.0+cu128", "12.8", "sm_60", "sm_37"),
        ("2.8.0+cu128", "12.8", "sm_70", "sm_60"),
        ("2.11.0+cu128", "12.8", "sm_75", "sm_70"),
        ("2.14.1+cu126", "12.6", "sm_50", "sm_120"),
        ("2.12.1+cu130", "13.0", "sm_120", "sm_70"),
    ],
)
def test_the_table_of_builds(torch: str, cuda: str, has: str, lacks: str) -> None:
    codes = architectures_of(torch, cuda, "x86_64")
    assert codes is not None
    assert has in codes
    assert lacks not in codes


def test_builds_that_are_not_in_the_table_are_unknown() -> None:
    assert architectures_of("2.12.1", "13.0", "aarch64") is None
    assert architectures_of("3.0.0", "13.0", "x86_64") is None
    assert architectures_of("1.13.1", "11.6", "x86_64") is None
    assert architectures_of(None, None, "x86_64") is None


@pytest.mark.parametrize(
    ("capability", "driver", "index"),
    [
        ((8, 6), "580.95.05", "cu130"),
        ((8, 6), "550.54.14", "cu126"),
        ((6, 1), "580.95.05", "cu126"),
        ((7, 0), "535.183.01", "cu126"),
        ((12, 0), "575.57.08", "cu128"),
        ((12, 0), "590.44.01", "cu130"),
        ((8, 6), None, "cu130"),
        ((8, 6), "470.223.02", None),
        ((3, 5), "470.223.02", None),
    ],
)
def test_the_newest_build_for_card_and_driver(
    capability: tuple[int, int], driver: str | None, index: str | None
) -> None:
    found = wheel_index(capability, driver, "Linux")
    assert (found.name if found else None) == index


def test_the_builds_that_are_recommended_carry_code_for_the_card() -> None:
    newest = {"cu130": ("2.15.0", "13.0"), "cu128": ("2.11.0", "12.8"), "cu126": ("2.14.1", "12.6")}
    for capability in [
        (5, 0),
        (5, 2),
        (6, 1),
        (7, 0),
        (7, 5),
        (8, 0),
        (8, 6),
        (8, 9),
        (9, 0),
        (10, 0),
        (12, 0),
        (12, 1),
    ]:
        for driver in ("525.60.13", "550.54.14", "570.26", "580.65.06", "595.45.04"):
            index = wheel_index(capability, driver, "Linux")
            assert index is not None
            codes = architectures_of(*newest[index.name], "x86_64")
            assert codes is not None
            assert any(runs_on(code, capability) for code in codes), (capability, driver)


def test_every_row_names_its_source() -> None:
    for row in (*compat.DRIVER_FLOORS, *compat.TORCH_RELEASES, *compat.BUILD_ARCHITECTURES):
        assert row.source


def test_the_releases_are_in_order_and_their_default_is_among_their_builds() -> None:
    versions = [compat.minor_release(row.torch) for row in compat.TORCH_RELEASES]
    assert versions == sorted(versions, key=lambda version: version or (0, 0))
    assert all(row.pypi_cuda in row.cuda for row in compat.TORCH_RELEASES)
