"""Dry runs on real pipelines: bytes that must be exact are, and what must grow or shrink does."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from mini_pipeline import NARROW, write_mini
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tuner.dryrun import engine
from tuner.dryrun.client import Oracle, Refused
from tuner.dryrun.engine import DryRun
from tuner.dryrun.ledger import Ledger, Work
from tuner.dryrun.repeats import kinds_of, repeat_blocks
from tuner.dryrun.rows import CONVOLUTION, ENTER, LEAVE, RELEASE, Answer, Ask, Call
from tuner.dryrun.stages import stage_of
from tuner.dryrun.weights import layers_of
from tuner.models import BUILTIN_ROOT, ModelKind, ModelRef, resolve
from tuner.replay import replay
from tuner.settings import Settings
from tuner.worker.build import describe, load_pipeline

TINY = BUILTIN_ROOT / "tiny"


def ask(
    folder: Path = TINY, size: int = 128, batch: int = 1, guidance: bool = True, **settings: str
) -> Answer:
    chosen = Settings(**settings)
    question = Ask(
        model=str(folder), settings=chosen, width=size, height=size, batch=batch, guidance=guidance
    )
    return DryRun(folder, chosen).answer(question)


def stage(answer: Answer, name: str) -> Call:
    return next(call for call in answer.calls if call.stage == name)


def live_peak(events: tuple[tuple[int, int], ...]) -> int:
    live, peak, sizes = 0, 0, {}
    for size, number in events:
        if size > 0:
            sizes[number] = size
            live += size
            peak = max(peak, live)
        elif size == RELEASE:
            live -= sizes.pop(number)
    return peak


_QUICK = ("sdxl", "flux")


@pytest.mark.parametrize(
    "name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NARROW]
)
def test_every_builtin_has_three_stages_and_all_its_weights(tmp_path: Path, name: str) -> None:
    folder = write_mini(tmp_path / name, name)
    run = DryRun(folder, Settings(precision="bf16"))
    answer = run.answer(Ask(model=str(folder), settings=Settings(precision="bf16"), width=128, height=128))
    assert [call.stage for call in answer.calls] == sorted(
        (call.stage for call in answer.calls), key=["encode", "denoise", "decode"].index
    )
    assert {call.stage for call in answer.calls} == {"encode", "denoise", "decode"}
    assert sum(part.bytes for part in answer.components) == describe(run.pipe).weights_bytes
    assert all(call.flops > 0 and live_peak(call.events) > 0 for call in answer.calls)


@pytest.fixture(scope="module")
def real() -> object:
    pipe = load_pipeline(resolve("builtin:tiny"), torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_operations_are_those_that_torch_counts_on_the_real_pipeline(real) -> None:
    counter = FlopCounterMode(display=False)
    # torch's counter knows no fused attention of a CPU, so it is given the plain one, which does the same products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        real(prompt="a cube", width=128, height=128, num_inference_steps=1, output_type="pt")
    answer = ask()
    assert sum(answer.calls[index].flops for index in answer.order) == counter.get_total_flops()


def test_the_live_bytes_are_those_of_the_real_decoder(real) -> None:
    latents = torch.zeros(1, real.vae.config.latent_channels, 32, 32)
    ledger = Ledger()
    ledger.ignore([*real.vae.parameters(), *real.vae.buffers()])
    gc.collect()
    with torch.no_grad(), ledger:
        ledger.count(latents)
        real.vae.decode(latents)
    call = stage(ask(size=32 * real.vae_scale_factor), "decode")
    assert live_peak(call.events) == pytest.approx(live_peak(tuple(ledger.events)), rel=0.001)
    ran = [call.convolutions[number] for size, number in call.events if size == CONVOLUTION]
    assert ran == [ledger.convolutions[number] for size, number in ledger.events if size == CONVOLUTION]
    assert set(ran) == set(call.convolutions)


def test_guidance_doubles_the_batch_of_the_denoiser() -> None:
    one, two = ask(guidance=False), ask(guidance=True)
    assert stage(two, "denoise").flops == pytest.approx(2 * stage(one, "denoise").flops, rel=0.01)
    assert stage(two, "decode") == stage(one, "decode")


@pytest.mark.parametrize("name", ["sdxl", "flux", "pixart-sigma"])
def test_blocks_that_are_run_once_take_what_each_of_them_takes(
    tmp_path: Path, monkeypatch, name: str
) -> None:
    folder = write_mini(tmp_path / name, name)
    short = ask(folder, precision="bf16", weights="int8")
    ran: list[object] = []
    monkeypatch.setattr(engine, "repeat_blocks", lambda *arguments: ran.append(arguments))
    assert ask(folder, precision="bf16", weights="int8") == short
    assert ran


def test_a_block_that_keeps_something_is_run_every_time() -> None:
    class Keeping(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.runs = [], 0

        def forward(self, source: torch.Tensor, keep: bool) -> torch.Tensor:
            self.runs += 1
            if keep:
                self.kept.append(source * 2)
            return source + 1

    blocks = torch.nn.ModuleList([Keeping(), Keeping(), Keeping()])
    for keep, runs in ((False, [1, 0, 0]), (True, [1, 1, 1])):
        ledger = Ledger()
        with ExitStack() as stack:
            repeat_blocks(kinds_of(torch.nn.ModuleDict({"blocks": blocks})), ledger, stack)
            stack.enter_context(FakeTensorMode())
            stack.enter_context(ledger)
            out = torch.zeros(4, 64)
            for block in blocks:
                out = block(out, keep)
        assert [block.runs for block in blocks] == runs
        assert live_peak(tuple(ledger.events)) == (2 + 3 * keep) * 4 * 64 * 4
        for block in blocks:
            block.runs = 0


def test_whole_numbers_stay_known_where_a_model_asks_for_them() -> None:
    mode, ledger = FakeTensorMode(allow_non_fake_inputs=True), Ledger()
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    fake = mode.from_tensor(mask)
    ledger.know(fake, mask)
    with mode, ledger:
        assert fake.sum(dim=1).tolist() == [3, 1]
        assert int(fake[0].bool().any()) == 1
        with pytest.raises(DataDependentOutputException):
            fake.float().sum().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("stable-cascade", ["prior_text_encoder"] * 2 + ["prior_prior"] * 2 + ["decoder", "vqgan"]),
        ("lumina2", ["text_encoder"] * 2 + ["transformer"] * 2 + ["vae"]),
        ("kandinsky3", ["text_encoder", "unet", "movq"]),
    ],
)
def test_families_that_differ_run_their_parts_in_order(name: str, order: list[str]) -> None:
    settings = Settings(precision="bf16")
    run = DryRun(BUILTIN_ROOT / name, settings)
    answer = run.answer(Ask(model=name, settings=settings, width=512, height=512))
    assert [answer.calls[index].component.name for index in answer.order] == order
    assert sum(part.bytes for part in answer.components) == describe(run.pipe).weights_bytes
    largest = max(part.bytes for part in answer.components)
    stages = {part.name: part for part in replay(answer, "model", (8, 6)).stages}
    # With model offload nothing but the stage's own model is there: the prior goes when the decoder comes.
    assert max(part.weights_bytes for part in stages.values()) < 1.01 * largest


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("prior_text_encoder", "encode"),
        ("text_encoder_2", "encode"),
        ("prior_prior", "denoise"),
        ("movq", "decode"),
    ],
)
def test_a_part_works_in_its_stage(name: str, stage: str) -> None:
    assert stage_of(name) == stage


def test_tiling_bounds_the_peak_of_decoding_and_leaves_the_rest() -> None:
    plain, tiled = ask(size=768), ask(size=768, vae_tiling="on")
    assert live_peak(stage(tiled, "decode").events) < 0.6 * live_peak(stage(plain, "decode").events)
    assert stage(tiled, "denoise") == stage(plain, "denoise")


def test_slicing_decodes_one_of_a_batch_at_a_time() -> None:
    plain, sliced = ask(batch=4), ask(batch=4, vae_slicing="on")
    assert live_peak(stage(sliced, "decode").events) < 0.5 * live_peak(stage(plain, "decode").events)


def test_sliced_attention_takes_more_than_the_fused_one(tmp_path: Path) -> None:
    folder = write_mini(tmp_path / "sd15", "sd15")
    fused, sliced = ask(folder, size=256), ask(folder, size=256, attention="sliced")
    assert live_peak(stage(sliced, "denoise").events) > live_peak(stage(fused, "denoise").events)


def test_quantised_layers_take_fewer_bytes_however_often_the_setting_changes(tmp_path: Path) -> None:
    folder = write_mini(tmp_path / "flux", "flux")
    run = DryRun(folder, Settings(precision="bf16"))

    def denoiser(weights: str) -> Call:
        settings = Settings(precision="bf16", weights=weights)
        answer = run.answer(Ask(model=str(folder), settings=settings, width=128, height=128))
        return stage(answer, "denoise")

    native = denoiser("native").component
    for weights, share in (("nf4", 0.28), ("q8_0", 0.53), ("q4_k", 0.28)):
        call = denoiser(weights)
        assert call.component.bytes == pytest.approx(share * native.bytes, rel=0.1)
        assert (
            call.component.dequantised == max(native.tensors) == max(layer.expanded for layer in call.layers)
        )
    assert denoiser("native").component == native
    assert denoiser("int8").component.bytes == pytest.approx(0.5 * native.bytes, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    # 10 rows of 64 numbers make 10 of 256: the 8-bit input, 32-bit product, float16 product, output; less the output.
    [(torch.float16, 640 + (4 + 2) * 2560 - 2 * 2560), (torch.bfloat16, 640 + (4 + 2 + 2) * 2560 - 2 * 2560)],
)
def test_int8_keeps_no_wider_copy_of_its_weights(kind: torch.dtype, expected: int) -> None:
    ((_module, layer_of),) = layers_of("transformer", torch.nn.Sequential(torch.nn.Linear(64, 256)), "int8")
    assert layer_of(torch.empty(2, 5, 64, dtype=kind)).expanded == expected
    assert layer_of(torch.empty(1, 64, dtype=kind)).expanded == expected // 10
    narrow = torch.nn.Sequential(torch.nn.Linear(256, 64))
    ((_module, layer_of),) = layers_of("transformer", narrow, "int8")
    # Here looking for outliers takes the most: float16 copy, absolute values, mask, 8-bit copy.
    assert layer_of(torch.empty(10, 256, dtype=torch.bfloat16)).expanded == 6 * 2560 - 2 * 640


def test_layerwise_casting_takes_what_diffusers_casts(tmp_path: Path) -> None:
    folder = write_mini(tmp_path / "flux", "flux")
    predicted = stage(ask(folder, precision="bf16", weights="fp8"), "denoise").component
    ref = ModelRef(kind=ModelKind.BUILTIN, name="builtin:mini", path=folder)
    real = load_pipeline(ref, torch.bfloat16).transformer
    real.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    assert predicted.bytes == sum(tensor.numel() * tensor.element_size() for tensor in real.parameters())


def test_layers_begin_and_end_in_pairs_and_hold_all_weights(tmp_path: Path) -> None:
    call = stage(ask(vae_tiling="on", size=512), "decode")
    depth = 0
    for kind, _ in call.events:
        depth += (kind == ENTER) - (kind == LEAVE)
        assert depth >= 0
    assert depth == 0
    assert max(layer.bytes for layer in call.layers) == max(call.component.tensors) + 4 * 64


def test_the_ledger_writes_down_each_storage_once_and_its_end() -> None:
    ledger = Ledger()
    with ledger:
        first = torch.empty(100)
        view = first[10:]
        second = torch.empty(129)
        del first, view, second
    assert ledger.events == [(400, 1), (516, 2), (RELEASE, 1), (RELEASE, 2)]


def test_repeated_work_leaves_nothing_allocated_but_what_is_kept() -> None:
    work = Work(((400, 7), (CONVOLUTION, 0), (516, 8), (RELEASE, 7), (RELEASE, 3)), 10, 20)
    assert work.left_allocated() == {8}
    ledger = Ledger()
    ledger.repeat(work, {})
    assert ledger.events == [(400, 1), (CONVOLUTION, 0), (516, 2), (RELEASE, 1), (RELEASE, 2)]
    assert (ledger.flops, ledger.moved) == (10, 20)
    with ledger, ledger.silent():
        kept = torch.empty(129)
    ledger.repeat(work, {8: kept})
    assert ledger.events[5:] == [(400, 3), (CONVOLUTION, 0), (516, 4), (RELEASE, 3)]
    assert ledger.number_of(kept) == 4
    del kept
    assert ledger.events[-1] == (RELEASE, 4)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(path))
        yield path


@pytest.fixture(scope="module")
def oracle(home: Path) -> Iterator[Oracle]:
    """One child for all tests that need one: starting it is what takes the time."""
    with Oracle() as oracle:
        yield oracle


def test_one_child_answers_many_questions_and_remembers(oracle: Oracle) -> None:
    question = Ask(model="builtin:tiny", settings=Settings(), width=128, height=128)
    first = oracle.ask(question)
    child = oracle._child
    with pytest.raises(Refused, match=r"builtin:tiny at 100x100 cannot be predicted: .*divisible"):
        oracle.ask(Ask(model="builtin:tiny", settings=Settings(), width=100, height=100))
    oracle.ask(Ask(model="builtin:tiny", settings=Settings(vae_tiling="on"), width=128, height=128))
    assert oracle._child is child
    with Oracle() as other:
        assert other.ask(question) == first
        assert other._child is None


def test_a_model_with_pickled_weights_is_predicted_since_nothing_is_loaded(
    tmp_path: Path, oracle: Oracle
) -> None:
    """`tune --allow-pickle` asks for it; the dry run has no option of its own."""
    folder = write_mini(tmp_path / "pickled")
    for part in ("unet", "vae", "text_encoder"):
        (folder / part / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x02")
    question = Ask(model=str(folder), settings=Settings(), width=64, height=64, batch=1)
    assert oracle.ask(question).components


def test_a_configuration_that_cannot_be_built_names_its_component(tmp_path: Path, oracle: Oracle) -> None:
    folder = write_mini(tmp_path / "sd15", "sd15")
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_bytes()) | {"down_block_types": ["NoSuchBlock"]}))
    with pytest.raises(Refused, match="its unet could not be built"):
        oracle.ask(Ask(model=str(folder), settings=Settings(), width=128, height=128))
