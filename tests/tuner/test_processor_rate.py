"""The paper rate of a processor: what is known of it decides, and what is unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import Cpu
from tuner.processor_rate import rate_of

ZEN3 = Cpu(
    model="AMD EPYC", physical_cores=2, usable_cores=2, flags=("avx", "avx2", "fma"), frequency_max=2445
)


def test_a_plain_processor_has_a_rate_for_float32_only():
    rate = rate_of(ZEN3)
    # 70 GFLOP/s for a whole picture of SD 1.5 were measured there; an estimate may be wrong by a factor of two.
    assert 50e9 < rate.fp32 < 150e9
    assert rate.of("fp32") == rate.fp32
    assert rate.of("bf16") is None and rate.of("fp16") is None


def test_bfloat16_in_hardware_is_faster_and_amx_faster_still():
    zen4 = rate_of(replace(ZEN3, flags=(*ZEN3.flags, "avx512f", "avx512_bf16")))
    server = rate_of(replace(ZEN3, model="Intel Xeon", flags=(*ZEN3.flags, "avx512f", "amx_bf16")))
    assert zen4.bf16 == 2 * zen4.fp32
    assert server.fp32 == 2 * zen4.fp32
    assert server.bf16 > 2 * server.fp32


def test_two_threads_of_a_core_and_a_quota_do_not_count_twice():
    assert rate_of(replace(ZEN3, physical_cores=2, usable_cores=4)).fp32 == rate_of(ZEN3).fp32
    assert rate_of(replace(ZEN3, quota_cores=0.5)).fp32 == pytest.approx(rate_of(ZEN3).fp32 / 4)


@pytest.mark.parametrize("missing", [{"frequency_max": None}, {"flags": None}, {"flags": ("avx",)}])
def test_what_is_not_known_gives_no_estimate(missing):
    assert rate_of(replace(ZEN3, **missing)) is None


def test_without_a_number_of_cores_there_is_none():
    assert rate_of(Cpu(model="AMD EPYC", flags=("avx2",), frequency_max=2445)) is None
