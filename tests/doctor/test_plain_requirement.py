"""The shortcut for plain requirements against ``packaging``: what it lets pass, ``packaging`` lets pass."""

from importlib import metadata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement

from doctor.checks.plain_requirement import name_of, plainly_met

LINUX = {"platform_system": "Linux", "sys_platform": "linux", "platform_machine": "x86_64", "extra": ""}

numbers = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
suffixes = st.sampled_from(["", "", "+cpu", "+cu128", "rc1", ".post2", ".dev3", "a0+x", "-1", ".*"])
versions = st.tuples(numbers, suffixes).map("".join)
bounds = st.tuples(
    st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "~=", "===", "="]),
    st.sampled_from(["", " "]),
    versions,
).map("".join)
names = st.sampled_from(["numpy", "Huggingface_Hub", "torch [extra]", "a.b", "-x", ""])
markers = st.sampled_from(
    [
        "",
        '; platform_system == "Linux"',
        "; platform_system != 'Linux'",
        ';sys_platform == "win32"',
        '; platform_machine != "3" ',
        "; python_version < '4'",
        '; platform_system == "Linux" and extra == "x"',
        ";",
    ]
)
requirements = st.tuples(
    names, st.sampled_from(["", " "]), st.lists(bounds, max_size=3).map(",".join), markers
).map("".join)


@given(text=requirements, version=versions)
@example(text="numpy>1.0", version="1.0+cpu")
@example(text="numpy<=1.0.0", version="1.0+cpu")
@example(text="numpy>=1,", version="2")
@example(text='numpy>9; platform_system == "Windows"', version="2")
def test_what_it_lets_pass_packaging_lets_pass(text: str, version: str) -> None:
    if not plainly_met(text, version, LINUX):
        return
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return  # which the check lets pass too
    applies = requirement.marker is None or requirement.marker.evaluate(LINUX)
    assert not applies or requirement.specifier.contains(version, prereleases=True)


@given(text=requirements)
def test_names_are_those_that_packaging_reads(text: str) -> None:
    name = name_of(text)
    try:
        read = Requirement(text).name
    except InvalidRequirement:
        return
    assert name is None or name == read.lower().replace("_", "-").replace(".", "-")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("numpy", "2.4.0"),
        ("numpy>=1.17,<3.0", "2.4.0"),
        ("torch == 2.13.0", "2.13.0+cpu"),
        ("torch!=2.12.0", "2.13.0"),
        ('triton==3.5.1; platform_system == "Linux"', "3.5.1"),
        ('triton==3.5.1; platform_system == "Windows"', None),
        ("numpy>=1; python_version < '4' or os_name == 'nt'", "2.4.0"),
    ],
)
def test_plain_ones_pass(text: str, version: str | None) -> None:
    assert plainly_met(text, version, LINUX)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("numpy", None),
        ("numpy<2", "2.4.0"),
        ("numpy>=2", "2.4.0rc1"),
        ("numpy~=2.0", "2.4.0"),
        ("numpy==2.*", "2.4.0"),
        ("numpy[x]>=1", "2.4.0"),
        ("numpy>=3; python_version < '4'", "2.4.0"),
    ],
)
def test_the_others_are_left_to_packaging(text: str, version: str | None) -> None:
    assert not plainly_met(text, version, LINUX)


def test_most_requirements_of_this_installation_are_plain() -> None:
    texts = [text for text in metadata.requires("diffusers") or () if "extra ==" not in text]
    assert texts
    assert sum(name_of(text) is not None for text in texts) > len(texts) / 2
