"""A worker on a processor: the heap keeps what it held, mapped blocks go back, oneDNN's copies, and how tensors lie."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from doctor.sizes import MIB
from tuner.dryrun.layouts import lies_last
from tuner.dryrun.ledger import Ledger
from tuner.dryrun.rows import CONVOLUTION, RELEASE, Call, Component, Convolution
from tuner.host_replay import resident_peak

MAPPED_FROM = 16 * MIB
PLAIN = Convolution(
    input_bytes=20 * MIB, output_bytes=30 * MIB, weights=MIB, element_bytes=4, three_by_three=True
)


def call(*events: tuple[int, int], convolution: Convolution = PLAIN) -> Call:
    part = Component(name="unet", tensors=(MIB,))
    return Call(
        stage="denoise", component=part, events=events, convolutions=(convolution,), flops=1, moved_bytes=1
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
