"""What this machine has measured brings its predictions nearer to what it measures next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doctor.sizes import GIB, MIB
from doctor.trace import Outcome
from tui.planned_device import PlannedDevice
from tuner import store
from tuner.calibration import Calibration, calibrate
from tuner.device_model import HOST_BYTES, Device
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.fingerprint import Fingerprint
from tuner.predict import predict
from tuner.probe import Purpose, Trial
from tuner.profile import Profile
from tuner.settings import Settings
from tuner.target import Target

HERE = Fingerprint(
    device="cpu", name="EPYC", memory_gib=24, cores=2, torch="2.13.0", diffusers="0.42.1", os="Linux"
)
# Peaks of real workers with builtin:tiny, two steps, on two cores of an AMD EPYC; the table in docs/plan.md.
MEASURED = {("fp32", 256): 110, ("fp32", 512): 287, ("fp32", 768): 622, ("bf16", 256): 74, ("bf16", 512): 172}
LEARNED = (("fp32", 256), ("fp32", 512), ("bf16", 512))


def trial(precision: str, side: int) -> Trial:
    return Trial(
        purpose=Purpose.BASELINE,
        settings=Settings(precision=precision),
        width=side,
        height=side,
        batch=1,
        steps=2,
        outcome=Outcome.FINISHED,
        seconds_per_image=5.0,
        peak_bytes=MEASURED[precision, side] * MIB,
    )


@pytest.fixture(scope="module")
def place() -> PlannedDevice:
    device = Device(name="EPYC", memory_bytes=24 * GIB, usable_bytes=20 * GIB, capability=None)
    target = Target(
        device="cpu", name="EPYC", memory_total=24 * GIB, memory_free=20 * GIB, capability=None,
        fast_bf16=True, packages=(),
    )  # fmt: skip
    return PlannedDevice(device=device, target=target, fingerprint=HERE)


def test_a_stored_profile_brings_the_next_predictions_nearer(place, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path_factory.mktemp("home")))
    store.save(
        Profile(
            model="builtin:tiny",
            fingerprint=HERE,
            made_at=datetime(2026, 11, 23, tzinfo=UTC).isoformat(),
            budget_bytes=20 * GIB,
            width=256,
            height=256,
            batch=1,
            best=Settings(),
            speedup=1.0,
            ladder=(),
            trials=tuple(trial(*key) for key in LEARNED),
        )
    )
    with Oracle() as oracle:
        learned = place.calibrated("builtin:tiny", oracle.ask)
        assert learned is not None
        assert learned.trials == len(LEARNED)
        assert set(learned.rates) == {("none", "fp32"), ("none", "bf16")}

        def error(precision: str, side: int, calibration: Calibration | None) -> float:
            settings = Settings(precision=precision)
            answer = oracle.ask(Ask(model="builtin:tiny", settings=settings, width=side, height=side))
            row = predict(answer, settings, place.device, calibration=calibration)
            return abs(row.peak_device_bytes / MIB / MEASURED[precision, side] - 1)

        assert error("fp32", 768, learned) < error("fp32", 768, None)
        total = {
            name: sum(error(*key, calibration) for key in MEASURED)
            for name, calibration in (("learned", learned), ("constant", None))
        }
        assert total["learned"] < 0.3 * total["constant"]


def test_small_pictures_tell_little_of_large_ones(place):
    """Their memory is mostly the constant, their time mostly Python's."""
    small = [replace(trial("fp32", 256), width=64, height=64, peak_bytes=55 * MIB, seconds_per_image=9.0)] * 5
    large = trial("fp32", 768)

    def found(trials) -> Calibration:
        with Oracle() as oracle:
            return calibrate("builtin:tiny", trials, oracle.ask, place._replayed, host_bytes=HOST_BYTES)

    alone, both = found([large]), found([large, *small])
    assert both.trials == 4
    assert both.rates == alone.rates
    assert both.growth == alone.growth > 1.1
    assert found(small).growth == 1.0


def test_a_model_without_a_profile_keeps_the_constant(place, tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    assert place.calibrated("builtin:tiny", lambda _ask: pytest.fail("nothing is to be asked")) is None
