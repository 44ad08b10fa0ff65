"""Traces written by hand, of what cannot be brought about without harm to the machine: swapping, and long decoding."""

from __future__ import annotations

from doctor.telemetry.sample import Pressure, ProcessSample, Sample, ThreadSample, WorkerSample
from doctor.trace import Phase, PhaseRecord

MIB = 1 << 20


def sample(number: int, **changes) -> Sample:
    """A sample of a machine of 8 cores at second ``number`` whose worker denoises well on 8 threads."""
    usual = {
        "at": 100.0 + number,
        "interval": 1.0 if number else None,
        "cpu_percent": 96.0,
        "core_percents": (96.0,) * 8,
        "stolen_percent": 0.0,
        "memory_total": 16 << 30,
        "memory_available": 8 << 30,
        "memory_used": 8 << 30,
        "swap_total": 8 << 30,
        "swap_used": 0,
        "swap_in": 0.0,
        "swap_out": 0.0,
        "pressure": Pressure(cpu_some=3.0, memory_some=0.0, memory_full=0.0, io_some=0.0, io_full=0.0),
        "disks": (),
        "process_cpu_percent": 755.0,
        "process_rss": 4 << 30,
        "process": process(),
        "neighbours": (),
        "gpus": (),
        "worker": WorkerSample(
            device="cpu",
            phase=Phase.DENOISE,
            phase_seconds=float(number + 1),
            step=number + 1,
            steps=20,
            step_seconds=(1.0,),
        ),
    }
    return Sample(**(usual | changes))


def process(**changes) -> ProcessSample:
    """A process that computes on 8 threads."""
    threads = tuple(
        ThreadSample(id=n, name="python", cpu_percent=94.0, wait_percent=0.5, state="R") for n in range(8)
    )
    usual = {
        "pid": 4711,
        "name": "python",
        "niceness": 0,
        "usable_cores": 8,
        "threads": threads,
        "thread_count": 12,
        "busy_threads": 8,
        "wait_percent": 4.0,
        "read": 0.0,
        "written": 0.0,
        "major_faults": 0.0,
        "swapped": 0,
    }
    return ProcessSample(**(usual | changes))


def _trace(**changes) -> tuple[Sample, ...]:
    return tuple(sample(number, **changes) for number in range(8))


def _decoding() -> tuple[Sample, ...]:
    ended = (PhaseRecord(phase=Phase.DENOISE, seconds=5.0), PhaseRecord(phase=Phase.DECODE, seconds=9.0))
    last = WorkerSample(device="cpu", ended=ended, peak_allocated=2 << 30)
    return (*_trace(), sample(8, worker=last))


WRITTEN: dict[str, tuple[str, tuple[Sample, ...]]] = {
    "healthy, written": ("processor-bound", _trace()),
    "swapping": (
        "memory-swap",
        _trace(
            swap_in=45.0 * MIB,
            swap_out=60.0 * MIB,
            memory_available=200 * MIB,
            process_cpu_percent=90.0,
            cpu_percent=20.0,
            pressure=Pressure(cpu_some=1.0, memory_some=62.0, memory_full=40.0, io_some=70.0, io_full=55.0),
        ),
    ),
    "reclaim without swap": (
        "memory-pressure",
        _trace(
            process_cpu_percent=300.0,
            cpu_percent=55.0,
            pressure=Pressure(cpu_some=1.0, memory_some=28.0, memory_full=9.0, io_some=30.0, io_full=12.0),
        ),
    ),
    "the host takes the cores": (
        "starved-by-host",
        _trace(stolen_percent=31.0, process_cpu_percent=480.0, cpu_percent=62.0),
    ),
    "decoding longer than the steps": ("vae-bound", _decoding()),
}
