"""From dry runs to cards: offload order, limits, and the published peaks of a P100."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.cards import find_card
from doctor.errors import UsageError
from doctor.sizes import GIB, MIB
from tuner.calibration import Calibration
from tuner.cuda_context import context_bytes
from tuner.device_model import HOST_BYTES, Device, device_of_card, device_of_memory
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import (
    CONVOLUTION,
    ENTER,
    LEAVE,
    RELEASE,
    Answer,
    Ask,
    Call,
    Component,
    Convolution,
    Layer,
)
from tuner.predict import predict
from tuner.replay import replay, replay_on_cpu
from tuner.settings import Settings
from tuner.workspaces import convolution_bytes

P100 = (6, 0)


def part(name: str, size: int, **more: int) -> Component:
    return Component(name=name, tensors=(size * MIB,), **more)


def call(stage: str, component: Component, *events: tuple[int, int], **more: object) -> Call:
    return Call(stage=stage, component=component, events=events, convolutions=(), flops=10, moved_bytes=20)


TEXT, T5, UNET, VAE = part("text_encoder", 100), part("t5", 900), part("unet", 500), part("vae", 50)
WORK = ((200 * MIB, 1), (RELEASE, 1))
ANSWER = Answer(
    width=512,
    height=512,
    batch=1,
    size_factor=8,
    native_size=512,
    steps=10,
    components=(TEXT, T5, UNET, VAE),
    calls=(
        call("encode", TEXT),
        call("encode", T5),
        call("denoise", UNET, *WORK),
        call("decode", VAE, *WORK),
    ),
    order=(0, 1, 0, 1, 2, 3),
    offload_order=("text_encoder", "t5", "unet", "vae"),
)


def peaks(offload: str) -> dict[str, int]:
    return {stage.name: stage.peak_bytes // MIB for stage in replay(ANSWER, offload, P100).stages}


def test_without_offload_everything_stays():
    assert peaks("none")["denoise"] == 1550 + 200 + 8


def test_model_offload_sends_away_only_the_component_before():
    # For the negative prompt the first encoder comes back while T5, which nobody has followed yet, is still there.
    assert peaks("model") == {"encode": 1000 + 8, "denoise": 708, "decode": 258}


def test_finer_offload_holds_the_layers_that_compute():
    first, norm, second = Layer(bytes=300 * MIB), Layer(bytes=0), Layer(bytes=100 * MIB)
    work = ((ENTER, 0), *WORK, (LEAVE, 0), (ENTER, 1), (LEAVE, 1), (ENTER, 2), *WORK, (LEAVE, 2))

    def peak(offload: str, order: tuple[int, int, int]) -> int:
        layers = tuple((first, norm, second)[place] for place in order)
        made = Call(
            stage="denoise", component=UNET, events=work, convolutions=(), layers=layers, flops=1, moved_bytes=1
        )  # fmt: skip
        answer = Answer(
            width=8, height=8, batch=1, size_factor=8, native_size=8, steps=1,
            components=(UNET,), calls=(made,), order=(0,), offload_order=("unet",),
        )  # fmt: skip
        return replay(answer, offload, P100).stages[0].peak_bytes // MIB

    assert peak("sequential", (0, 1, 2)) == 300 + 200 + 8
    # The layer between them has no weights, so nothing is fetched ahead while the first one computes.
    assert peak("group", (0, 1, 2)) == 300 + 200 + 8
    assert peak("group", (0, 2, 1)) == 400 + 200 + 8


def test_quantised_weights_are_expanded_while_their_layer_computes():
    layers = (Layer(bytes=10 * MIB, expanded=40 * MIB), Layer(bytes=10 * MIB, expanded=90 * MIB))
    events = ((ENTER, 0), *WORK, (LEAVE, 0), (ENTER, 1), (LEAVE, 1))
    made = Call(
        stage="denoise", component=UNET, events=events, convolutions=(), layers=layers, flops=1, moved_bytes=1
    )  # fmt: skip
    answer = Answer(
        width=8, height=8, batch=1, size_factor=8, native_size=8, steps=1,
        components=(UNET,), calls=(made,), order=(0,), offload_order=("unet",),
    )  # fmt: skip
    assert replay(answer, "none", P100).stages[0].peak_bytes // MIB == 500 + 8 + 240


def test_the_limit_decides_and_names_no_fit():
    # 8 MiB more: 1550 + 200 + the segment of cuBLAS.
    room = (1550 + 200 + 20) * MIB + context_bytes(find_card("P100"))
    device = device_of_memory(room, find_card("P100"))
    assert predict(ANSWER, Settings(), device).fits
    tight = predict(ANSWER, Settings(), device_of_memory(room - 20 * MIB, find_card("P100")))
    assert not tight.fits
    assert tight.peak_device_bytes > room - 20 * MIB
    assert predict(
        ANSWER, Settings(offload="model"), device_of_memory(room - 20 * MIB, find_card("P100"))
    ).fits


def test_a_card_that_is_faster_takes_less_time_and_steps_count():
    def seconds(name: str, **more: int) -> float:
        row = predict(ANSWER, Settings(precision="fp16"), device_of_card(find_card(name)), **more)
        assert row.seconds_per_image_estimate is not None
        return row.seconds_per_image_estimate

    assert seconds("RTX 4090") < seconds("RTX 3060") < seconds("GTX 1060")
    assert seconds("RTX 3060", steps=20) > 1.5 * seconds("RTX 3060")


def test_unknown_is_not_zero():
    unknown = Device(name="cpu", memory_bytes=None, usable_bytes=None, capability=None)
    with pytest.raises(UsageError, match="give it with --memory"):
        predict(ANSWER, Settings(), unknown)
    known = Device(name="cpu", memory_bytes=GIB, usable_bytes=GIB, capability=None)
    assert predict(ANSWER, Settings(), known).seconds_per_image_estimate is None


def test_this_machines_measurements_replace_the_constants():
    device = Device(name="cpu", memory_bytes=4 * GIB, usable_bytes=1800 * MIB, capability=None)
    plain = predict(ANSWER, Settings(), device)
    assert (plain.fits, plain.peak_device_bytes) == (True, 1750 * MIB + HOST_BYTES)
    learned = Calibration(overhead_bytes=100 * MIB, rates={("none", "fp32"): 2.0}, trials=1)
    row = predict(ANSWER, Settings(), device, calibration=learned)
    assert (row.fits, row.peak_device_bytes) == (False, 1850 * MIB)
    assert row.seconds_per_image_estimate == (10 * 4 + 10 * 10 + 10) / 2.0
    # A rate that was measured with other settings is not taken for these.
    assert (
        predict(ANSWER, Settings(compile="openvino"), device, calibration=learned).seconds_per_image_estimate
        is None
    )
    assert replay_on_cpu(ANSWER).peak_reserved == 1750 * MIB
    half = predict(ANSWER, Settings(fewer_steps="half"), device, calibration=learned, steps=10)
    assert (half.steps, half.seconds_per_image_estimate) == (5, (10 * 4 + 10 * 5 + 10) / 2.0)
    cached = predict(ANSWER, Settings(step_cache="deep-3"), device, calibration=learned)
    assert cached.seconds_per_image_estimate == row.seconds_per_image_estimate
    assert "does not know what step_cache=deep-3 saves" in "; ".join(cached.remarks)


def test_a_compiler_takes_the_hosts_memory_for_each_operation_and_on_a_card_it_is_said_that_it_is_not_known():
    host = Device(name="cpu", memory_bytes=4 * GIB, usable_bytes=4 * GIB, capability=None)
    plain = predict(ANSWER, Settings(), host)
    operations = sum(size > 0 for size, _number in WORK)
    for compiling, each in (("inductor", 144 * 1024), ("inductor-whole", 224 * 1024)):
        row = predict(ANSWER, Settings(compile=compiling), host)
        assert row.peak_device_bytes - plain.peak_device_bytes == operations * each
        assert [stage.weights_bytes for stage in row.stages] == [
            stage.weights_bytes for stage in plain.stages
        ]
        assert row.remarks == ()
        (remark,) = predict(ANSWER, Settings(compile=compiling), device_of_memory(8 * GIB)).remarks
        assert "not modelled" in remark


def test_what_is_never_offloaded_stays_on_the_card():
    kept = replace(ANSWER, kept=("t5",))
    # Layers come and go elsewhere, so nothing but T5 and cuBLAS is there while the U-Net computes.
    assert {stage.name: stage.weights_bytes // MIB for stage in replay(kept, "sequential", P100).stages} == {
        "encode": 900,
        "denoise": 900,
        "decode": 900,
    }
    assert replay(ANSWER, "sequential", P100).stages[0].weights_bytes == 0


def test_scales_of_4_bit_weights_stay_when_layers_move_in_groups():
    quantised = replace(ANSWER, components=(TEXT, T5, replace(UNET, scales=60 * MIB), VAE))
    assert replay(quantised, "group", P100).stages[1].weights_bytes == 60 * MIB
    assert replay(quantised, "sequential", P100).stages[1].weights_bytes == 0


def test_workspaces_depend_on_the_card_and_give_way():
    convolution = Convolution(
        input_bytes=100, output_bytes=50, weights=9, element_bytes=2, three_by_three=True
    )
    assert convolution_bytes(convolution, (8, 6)) == (150, 100, 0)
    assert convolution_bytes(convolution, (7, 0)) == convolution_bytes(convolution, (7, 5)) == (100, 0)
    assert convolution_bytes(convolution, (6, 1)) == (300 + 128, 0)
    work = Call(
        stage="decode",
        component=VAE,
        events=((200 * MIB, 1), (CONVOLUTION, 0), (RELEASE, 1)),
        convolutions=(
            Convolution(
                input_bytes=200 * MIB,
                output_bytes=200 * MIB,
                weights=9,
                element_bytes=2,
                three_by_three=True,
            ),
        ),
        flops=1,
        moved_bytes=1,
    )
    answer = Answer(
        width=8, height=8, batch=1, size_factor=8, native_size=8, steps=1,
        components=(VAE,), calls=(work,), order=(0,), offload_order=("vae",),
    )  # fmt: skip
    free = replay(answer, "none", (8, 6)).stages[0].peak_bytes
    tight = replay(answer, "none", (8, 6), limit=500 * MIB).stages[0].peak_bytes
    assert (free - tight) // MIB == 200


# torch.cuda.max_memory_allocated in MiB, 512x512, batch 1, float16, Tesla P100: gperdrizet/unit-6-assignments,
# docs/data/p100/benchmark_results.json. SD 1.4 is built like 1.5; its row includes a safety checker of 580 MiB.
# SDXL, with float32 in its decoder, stands for the rest in the quick run.
PUBLISHED = [
    ("sd15", "none", 3519.1 - 580),
    ("sd15", "model", 2707.8 - 580),
    ("sd15", "sequential", 1463.6 - 580),
    ("sd21", "none", 3361.6),
    ("sd21", "model", 2138.6),
    ("sd21", "sequential", 882.5),
    ("sd35-medium", "model", 12352.5),
    ("sd35-medium", "sequential", 1323.0),
    ("sdxl-turbo", "none", 7663.2),
    ("kandinsky22", "none", 10238.4),
    ("kandinsky22", "model", 5498.0),
    ("kandinsky22", "sequential", 2810.3),
    ("sdxl", "none", 7663.1),
    ("sdxl", "model", 5472.6),
    ("sdxl", "sequential", 777.3),
]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(tmp_path_factory.mktemp("home")))
        with Oracle() as oracle:
            yield oracle


@pytest.mark.parametrize(
    ("model", "offload", "mebibytes"),
    [row if row[0] == "sdxl" else pytest.param(*row, marks=pytest.mark.slow) for row in PUBLISHED],
)
def test_the_published_peaks_of_a_p100_are_met(oracle, model, offload, mebibytes):
    answer = oracle.ask(
        Ask(model=f"builtin:{model}", settings=Settings(precision="fp16"), width=512, height=512)
    )
    peak = max(stage.peak_bytes for stage in replay(answer, offload, P100).stages)
    assert peak / MIB == pytest.approx(mebibytes, rel=0.02)
