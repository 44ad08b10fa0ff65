"""What a processor's arithmetic units could do on paper, from its instruction sets and its clock."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts import Cpu

# Operations per core and cycle, a multiplication and an addition counting as two. Two units for fused products of
# eight float32 (AVX2: Intel since Haswell, AMD since Zen 2), of sixteen (AVX-512 on Intel's servers); AMD's Zen 4 splits
# AVX-512 products in halves (uops.info). bfloat16 products are twice as many; AMX does 1024 of them (Intel's optimization
# reference manual, chapter on AMX).
_AVX2 = 32
_AVX512 = 64
_AMX_BF16 = 1024
# Share of the paper rate that a whole picture reaches: a picture of builtin:sd15 on two cores of an AMD EPYC, fp32
# (docs/plan.md). Large bfloat16 units wait for memory: with AMX a third of what the smaller ones reach is assumed.
_SHARE = 0.6
_AMX_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorRate:
    """Operations per second that a whole picture may reach, by number format; None where nothing is known."""

    fp32: float
    bf16: float | None

    def of(self, precision: str) -> float | None:
        """The rate for ``precision``; None for formats without a fast path."""
        return {"fp32": self.fp32, "bf16": self.bf16}.get(precision)


def rate_of(cpu: Cpu) -> ProcessorRate | None:
    """An estimate, good to a factor of two; None without a known clock, number of cores, or AVX2."""
    cores = _cores(cpu)
    if cores is None or not cpu.frequency_max or cpu.flags is None or "avx2" not in cpu.flags:
        return None
    cycles = cores * cpu.frequency_max * 1e6
    is_amd = (cpu.model or "").startswith("AMD")
    per_cycle = _AVX512 if "avx512f" in cpu.flags and not is_amd else _AVX2
    bf16 = None
    if "amx_bf16" in cpu.flags:
        bf16 = cycles * _AMX_BF16 * _AMX_SHARE
    elif cpu.has_fast_bf16:
        bf16 = cycles * 2 * per_cycle * _SHARE
    return ProcessorRate(fp32=cycles * per_cycle * _SHARE, bf16=bf16)


def _cores(cpu: Cpu) -> float | None:
    """Cores that a worker can really use: two threads of one core share its units."""
    known = [count for count in (cpu.physical_cores, cpu.usable_cores, cpu.quota_cores) if count]
    return min(known) if known else None
