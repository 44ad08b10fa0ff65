"""A worker on a processor: the heap keeps what it held, mapped blocks go back, oneDNN's copies, and how tensors lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from doctor.sizes import MIB
from tuner.dryrun.layouts import lies_last
from tuner.dryrun.ledger import Ledger
from tuner.dryrun.rows import CONVOLUTION, RELEASE, Answer, Call, Component, Convolution
from tuner.host_replay import program_bytes, resident_peak

MAPPED_FROM = 16 * MIB
PLAIN = Convolution(
    input_bytes=20 * MIB, output_bytes=30 * MIB, weights=MIB, element_bytes=4, three_by_three=True
)


def call(*events: tuple[int, int], convolution: Convolution = PLAIN) -> Call:
    part = Component(name="unet", tensors=(MIB,))
    return Call(
        stage="denoise", component=part, events=events, convolutions=(convolution,), flops=1, moved_bytes=1
    )


def answer(*calls: Call) -> Answer:
    return Answer(
        width=512,
        height=512,
        batch=1,
        size_factor=8,
        native_size=512,
        steps=10,
        components=tuple(dict.fromkeys(found.component for found in calls)),
        calls=calls,
        order=tuple(range(len(calls))),
        offload_order=(),
    )


def peak(*events: tuple[int, int], convolution: Convolution = PLAIN) -> int:
    return resident_peak(call(*events, convolution=convolution), MAPPED_FROM) // MIB


def test_mapped_blocks_go_back_and_the_heap_keeps_what_it_held():
    assert peak((20 * MIB, 1), (RELEASE, 1), (30 * MIB, 2)) == 30
    assert peak((10 * MIB, 1), (RELEASE, 1), (30 * MIB, 2)) == 40
    assert peak((10 * MIB, 1), (RELEASE, 1), (10 * MIB, 2), (30 * MIB, 3)) == 40


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        ({}, 30),
        ({"larger_kernel": True}, 30 + 4),
        ({"channels_last": True}, 0),
        ({"channels_last": True, "copies_input": True}, 20),
        ({"channels_last": True, "larger_kernel": True}, 4),
    ],
)
def test_what_a_convolution_copies(changes, copies):
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__slots__} | changes
    assert peak((50 * MIB, 1), (CONVOLUTION, 0), convolution=Convolution(**fields)) == 50 + copies


@pytest.mark.parametrize(("element", "kept"), [(2, 50 + 9), (4, 50 + 30)])
def test_without_16_bit_arithmetic_a_convolution_lays_out_columns(element, kept):
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__slots__}
    narrow = Convolution(**fields | {"element_bytes": element, "columns_bytes": 9 * MIB})
    events = (50 * MIB, 1), (CONVOLUTION, 0)
    assert resident_peak(call(*events, convolution=narrow), MAPPED_FROM, by_columns=True) // MIB == kept


def test_openvinos_programs_stay_with_their_memory_and_their_operations():
    """Each takes its own live peak and its nodes; whichever runs, the others stay."""
    work = (50 * MIB, 1), (RELEASE, 1), (30 * MIB, 2), (RELEASE, 2)
    one = program_bytes(answer(call(*work)), 1)
    two = program_bytes(answer(call(*work), call(*work)), 1)
    assert two - one == 50 * MIB + 2 * 112 * 1024
    # Without bfloat16 arithmetic tensors and weights are twice as wide, nodes are not.
    assert program_bytes(answer(call(*work)), 2) - one == 50 * MIB + MIB
    other = Component(name="scheduler", tensors=(MIB,))
    assert program_bytes(answer(call(*work), replace(call(*work), component=other)), 1) == one


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "columns"),
    [(3, 1, 1, 9 * 4 * 16 * 16), (3, 2, 1, 9 * 4 * 8 * 8), (1, 1, 0, 0), (1, 2, 0, 4 * 8 * 8)],
)
def test_columns_hold_what_each_pixel_of_the_output_sees(kernel, stride, padding, columns):
    with torch.no_grad(), FakeTensorMode(), Ledger() as ledger:
        layer = torch.nn.Conv2d(4, 8, kernel, stride=stride, padding=padding)
        layer(torch.ones(2, 4, 16, 16))
    assert [found.columns_bytes for found in ledger.convolutions] == [2 * 4 * columns]


def attended(pictures: int) -> torch.Tensor:
    """As a VAE's attention hands its result on: transposed tokens as a picture, normalised."""
    tokens = torch.ones(pictures, 64, 32)
    picture = tokens.transpose(-1, -2).reshape(pictures, 32, 8, 8) + torch.ones(pictures, 32, 8, 8)
    picture = picture / 1.0
    return torch.nn.functional.silu(torch.nn.functional.group_norm(picture, 8, torch.ones(32)))


def normalised(pictures: int) -> torch.Tensor:
    picture = torch.ones(pictures, 32, 8, 8).contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.group_norm(picture, 8, torch.ones(32))


@pytest.mark.parametrize("body", [attended, normalised])
@pytest.mark.parametrize("pictures", [1, 2])
def test_fake_tensors_lie_as_real_ones_do(body, pictures):
    with torch.no_grad():
        real = body(pictures)
        with FakeTensorMode(), Ledger():
            fake = body(pictures)
    assert fake.stride() == real.stride()
    assert lies_last(fake) == lies_last(real)


def test_a_picture_counts_as_channels_last_as_torch_decides_it():
    plain = torch.ones(1, 3, 4, 5)
    assert lies_last(plain.contiguous(memory_format=torch.channels_last))
    assert not lies_last(plain)
    assert not lies_last(torch.ones(8, 8, 1, 1))
    assert not lies_last(torch.ones(3, 4))
