"""The measurements of graphics cards, run with the processor in the card's place.

Nothing here says how a card behaves. It says that the programs run to their ends, put the right figures under the
right names, and notice what they are there to notice.
"""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
import torch

from doctor.probes.measure import (
    cuda,
    cuda_init,
    cuda_kernel,
    fp16_convolution,
    gpu_copy,
    gpu_rate,
    launch_latency,
)
from doctor.probes.say import NotApplicable, Say

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def processor_for_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.cuda answers for one "card" that is the processor; events become the wall clock."""

    def seconds(_torch: Any, _device: Any, run: Any, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            run()
        return (time.perf_counter() - started) / times

    for module in (gpu_rate, gpu_copy):
        monkeypatch.setattr(module, "event_seconds", seconds)
    for module in (gpu_rate, gpu_copy, launch_latency, fp16_convolution):
        monkeypatch.setattr(module, "devices", lambda _torch: [CPU])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device=None: None)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "A Card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    for name in ("zeros", "ones"):
        real = getattr(torch, name)

        def on_processor(*size: Any, real: Any = real, **fields: Any) -> Any:
            fields.pop("pin_memory", None)
            return real(*size, **{**fields, "device": "cpu"})

        monkeypatch.setattr(torch, name, on_processor)


def said(measure: Any) -> tuple[dict[str, tuple[float, str]], dict[str, str]]:
    stream = io.StringIO()
    measure(Say(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    values = {
        one["value"]["name"]: (one["value"]["value"], one["value"]["unit"]) for one in lines if "value" in one
    }
    return values, {one["note"]["name"]: one["note"]["text"] for one in lines if "note" in one}


def test_starting() -> None:
    values, notes = said(cuda_init.measure)
    assert values["cards"] == (1, "count")
    assert values["init"][1] == "s"
    assert notes == {"cuda:0": "A Card", "cuda:0 capability": "8.6"}


def test_a_kernel_and_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(cuda_kernel.measure)[0] == {"cards": (1, "count")}
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, **fields: 1.5 * ones(*size, **fields))
    with pytest.raises(ArithmeticError, match="cuda:0 computes wrongly"):
        cuda_kernel.measure(Say(io.StringIO()))


def test_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    # Small ones: fp16 on a processor would take a minute, and the sizes are not the point here.
    monkeypatch.setattr(gpu_rate, "SIDES", (64, 128))
    monkeypatch.setattr(gpu_rate, "WARM_UP", 0.01)
    monkeypatch.setattr(gpu_rate, "BUDGET", 0.01)
    values, notes = said(gpu_rate.measure)
    assert set(values) == {"fp32", "fp16", "bf16", "copy"}
    assert notes["cpu"] == "A Card"
    assert 1e-5 < values["fp32"][0] < 100 and values["fp32"][1] == "TFLOP/s"
    assert 0.1 < values["copy"][0] < 5000 and values["copy"][1] == "GB/s"


def test_the_size_grows_until_a_product_takes_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(gpu_rate, "SIDES", (64, 128, 256, 512))
    monkeypatch.setattr(gpu_rate, "BUDGET", 0.001)
    monkeypatch.setattr(gpu_rate, "WARM_UP", 0.001)
    randn = torch.randn
    monkeypatch.setattr(
        torch, "randn", lambda *size, **fields: (sizes.append(size[0]), randn(*size, **fields))[1]
    )
    monkeypatch.setattr(gpu_rate, "LONG_ENOUGH", 0.0)
    gpu_rate._rate(CPU, torch.float32)
    assert set(sizes) == {64}
    sizes.clear()
    monkeypatch.setattr(gpu_rate, "LONG_ENOUGH", 100.0)
    gpu_rate._rate(CPU, torch.float32)
    assert set(sizes) == {64, 128, 256, 512}


def test_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_copy, "BYTES", 2**22)
    values, _ = said(gpu_copy.measure)
    names = {f"{kind}_{way}" for kind in ("pinned", "pageable") for way in ("to_card", "from_card")}
    assert names <= set(values)
    assert all(0.01 < values[name][0] < 5000 for name in names)
    assert "pcie_width" not in values, "NVML that does not answer is left out, and nothing fails"


def test_launches() -> None:
    values, _ = said(launch_latency.measure)
    assert values["launch"][1] == values["round_trip"][1] == "us"
    assert 0.1 < values["launch"][0] < 1000


def test_convolutions_count_what_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fp16_convolution, "SHAPES", ((4, 8, 8, 3), (8, 8, 8, 1)))
    assert said(fp16_convolution.measure)[0] == {"convolutions": (20, "count"), "not_finite": (0, "count")}
    conv2d, calls = fp16_convolution.conv2d, []

    def sometimes_nan(image: torch.Tensor, weights: torch.Tensor, padding: int) -> torch.Tensor:
        calls.append(1)
        result = conv2d(image, weights, padding=padding)
        return result * float("nan") if len(calls) % 4 == 0 else result

    monkeypatch.setattr(fp16_convolution, "conv2d", sometimes_nan)
    assert said(fp16_convolution.measure)[0]["not_finite"] == (5, "count")


def test_a_full_card_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {0: 2**29, 1: 2**33}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device.index], 2**34))
    assert [device.index for device in cuda.devices(torch)] == [1]
    free[1] = 2**20
    with pytest.raises(NotApplicable, match="less than 1 GiB"):
        cuda.devices(torch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NotApplicable, match="CUDA"):
        cuda.devices(torch)
