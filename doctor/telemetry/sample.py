"""Sample: one reading of the machine at one moment, and the parts that it is made of.

A counter that could not be read is ``None``: never zero, never the last value again. So is a rate at the first
reading, when there is nothing to compare with. Units: seconds, bytes, bytes per second, percent (0 to 100; of one
core for processes and threads), watts, megahertz, degrees Celsius.
"""

from __future__ import annotations

from dataclasses import dataclass

from doctor.trace import Phase, PhaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """One process that holds memory of a card."""

    pid: int
    """As the driver counts: in a container that may be another number than the container's own."""
    name: str | None = None
    memory_used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """Share of the time since the reading before in which the clock was held down, by reason, in percent.

    From the driver's cumulative counters (NVML_FI_DEV_CLOCKS_EVENT_REASON_*, nvml.h); None for a reason that it
    does not count.
    """

    power_cap: float | None = None
    """The power limit: normal for a card at full load."""
    software_thermal: float | None = None
    hardware_thermal: float | None = None
    power_brake: float | None = None
    """The board's emergency brake: its supply gives too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One graphics card, as its driver counts."""

    index: int
    """The driver's own order (PCI bus), which CUDA may number otherwise."""
    name: str | None = None
    utilization: float | None = None
    """Percent of the driver's last period in which a kernel ran; not the share of the chip in use."""
    memory_activity: float | None = None
    """Percent of the driver's last period in which the memory was read or written; not share of its bandwidth."""
    memory_used: int | None = None
    """Device used: all processes and the CUDA contexts included."""
    memory_total: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    power: float | None = None
    power_limit: float | None = None
    """What is enforced now."""
    clock: float | None = None
    """Of the multiprocessors."""
    clock_max: float | None = None
    memory_clock: float | None = None
    temperature: float | None = None
    throttle_reasons: tuple[str, ...] | None = None
    """Why the clock is held down at this moment ("power cap", "software thermal", ...); () for no reason."""
    throttling: Throttling | None = None
    pcie_received: float | None = None
    """From the host to the card."""
    pcie_sent: float | None = None
    pcie_generation: int | None = None
    """Of the link now; at rest it goes down to save power."""
    pcie_width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSample:
    """One thread of the watched process."""

    id: int
    name: str | None = None
    cpu_percent: float | None = None
    wait_percent: float | None = None
    """Share of the time in which it could have run but other threads had the cores (Linux: schedstat)."""
    state: str | None = None
    """The kernel's letter: R runs or could run, S sleeps, D waits for a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSample:
    """The watched process, beyond ``Sample.process_cpu_percent`` and ``Sample.process_rss``."""

    pid: int
    name: str | None = None
    niceness: int | None = None
    usable_cores: int | None = None
    """Logical cores that it may run on (affinity)."""
    quota_cores: float | None = None
    """Cores that its control group may use; None if there is no limit or it could not be read."""
    throttled_percent: float | None = None
    """Periods of that quota which ended with the group stopped, of all in which it ran; None without a quota."""
    threads: tuple[ThreadSample, ...] | None = None
    """The busiest ones (at most 64), those that did the most first."""
    thread_count: int | None = None
    busy_threads: int | None = None
    """Threads that ran, or waited to run, for at least 5 % of the time."""
    wait_percent: float | None = None
    """Time that all its threads waited for a core: 100 is one thread that waited all the time."""
    read: float | None = None
    """Bytes per second that it had fetched from storage."""
    written: float | None = None
    major_faults: float | None = None
    """Pages per second that had to come from storage before it could go on."""
    swapped: int | None = None
    """Bytes of it that lie in swap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another process that used the processor since it was last looked."""

    pid: int
    name: str
    cpu_percent: float
    niceness: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Linux pressure stall information: percent of the time since the reading before in which tasks stood still.

    "some": at least one task waited; "full": all that were not idle did (docs.kernel.org/accounting/psi.html).
    """

    cpu_some: float | None = None
    memory_some: float | None = None
    memory_full: float | None = None
    io_some: float | None = None
    io_full: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSample:
    """One disk."""

    name: str
    read: float
    written: float
    busy_percent: float | None = None
    """Time in which it had something to do; a fast disk can do much more even at 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSample:
    """One network interface."""

    name: str
    received: float
    sent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSample:
    """What sdoctor's own worker said up to this moment."""

    device: str | None = None
    """"cpu" or "cuda:0"."""
    phase: Phase | None = None
    """The one that runs; None between them."""
    phase_seconds: float | None = None
    """How long it has been running."""
    step: int | None = None
    steps: int | None = None
    step_seconds: tuple[float, ...] = ()
    """Of the steps that ended since the sample before."""
    ended: tuple[PhaseRecord, ...] = ()
    """Phases that ended since the sample before."""
    allocated: int | None = None
    """Bytes in live tensors (CUDA), or resident beyond the bare worker (CPU)."""
    reserved: int | None = None
    """Bytes held by torch's caching allocator (CUDA)."""
    peak_allocated: int | None = None
    """Largest of any phase that ended, so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The machine, and the watched process, at one moment."""

    at: float
    """``time.monotonic()`` of the reading."""
    clock: float | None = None
    """``time.time()`` of the reading, for records."""
    interval: float | None = None
    """Seconds since the reading before: what percentages and rates cover."""
    cpu_percent: float | None = None
    """Busy share of all logical cores together since the reading before; None at the first one."""
    core_percents: tuple[float | None, ...] | None = None
    """The same for each logical core; None for a core whose clock did not advance."""
    stolen_percent: float | None = None
    """Share of all cores that the host of this virtual machine gave to others."""
    memory_total: int | None = None
    memory_available: int | None = None
    """What can be had without swapping."""
    memory_used: int | None = None
    """Total less available: what cannot be had without swapping."""
    swap_total: int | None = None
    swap_used: int | None = None
    swap_in: float | None = None
    """Bytes per second that came back from swap: somebody waited for each of them."""
    swap_out: float | None = None
    pressure: Pressure | None = None
    disks: tuple[DiskSample, ...] | None = None
    networks: tuple[NetworkSample, ...] | None = None
    process_cpu_percent: float | None = None
    """The watched process since the reading before; 100 is one core busy."""
    process_rss: int | None = None
    """Resident memory of the watched process."""
    process: ProcessSample | None = None
    neighbours: tuple[Neighbour, ...] | None = None
    """The busiest processes beside the watched one and sdoctor itself; looked for every few seconds only."""
    gpus: tuple[GpuSample, ...] | None = None
    """Cards of the NVIDIA driver; () if its library is not installed, None if it could not be asked."""
    gpu_error: str | None = None
    """The driver's own words where ``gpus`` is None."""
    worker: WorkerSample | None = None
