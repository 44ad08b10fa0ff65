"""Facts: one frozen, versioned snapshot of a machine and of the software on it.

Facts are gathered once (``doctor.gather``) or read from a file; everything that judges is a pure
function of them. A value that could not be read is ``None`` and is listed in ``Facts.unread`` with
the reason: unknown is neither zero nor fine. An empty tuple means "looked, and there is none".

Units: bytes, watts, degrees Celsius, MHz, seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SCHEMA = "sdoctor.facts/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The operating system and what it runs inside."""

    os: str | None = None
    """"Linux", "Windows" or "Darwin"."""
    distribution: str | None = None
    kernel: str | None = None
    machine: str | None = None
    """Architecture as uname says it: "x86_64", "aarch64", "arm64"."""
    wsl: bool | None = None
    container: str | None = None
    """"docker", "podman", "lxc", ...; "" when it is known that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The processor and how much of it this process may use."""

    model: str | None = None
    physical_cores: int | None = None
    logical_cores: int | None = None
    usable_cores: int | None = None
    """Logical cores in this process's affinity mask."""
    quota_cores: float | None = None
    """CPU limit of the control group, in cores; None with no entry in ``unread`` means no limit."""
    flags: tuple[str, ...] | None = None
    """Instruction sets that matter here, as the kernel names them: "avx2", "avx512f", "avx512_bf16", "amx_bf16", ..."""
    frequency_max: float | None = None
    """MHz: the highest clock that the kernel knows of, or the clock that a virtual machine states."""
    governor: str | None = None
    scaling_driver: str | None = None
    """The kernel's driver that sets the clocks: "intel_pstate", "acpi-cpufreq"; what a governor's name means
    depends on it."""
    niceness: int | None = None
    numa_nodes: int | None = None

    @property
    def has_fast_bf16(self) -> bool | None:
        """Whether the processor multiplies bfloat16 in hardware; None if its flags are unknown."""
        if self.flags is None:
            return None
        return any(flag in self.flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))

    @property
    def convolves_bf16(self) -> bool | None:
        """Whether torch leaves convolutions in bfloat16 to oneDNN, which emulates them with AVX-512; None if unknown.

        aten/src/ATen/native/mkldnn/Utils.h, mkldnn_bf16_device_check. Elsewhere torch has a slow way of its own.
        """
        if self.flags is None:
            return None
        return bool(self.has_fast_bf16) or "avx512f" in self.flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Host memory."""

    total: int | None = None
    available: int | None = None
    """What can be had without swapping, of the whole machine."""
    swap_total: int | None = None
    swap_used: int | None = None
    limit: int | None = None
    """Memory limit of the control group; None with no entry in ``unread`` means no limit."""
    limit_used: int | None = None

    @property
    def usable(self) -> int | None:
        """Bytes that this process can still get: ``available``, or less under a control group's limit."""
        if self.available is None:
            return None
        if self.limit is None:
            return self.available
        return max(0, min(self.available, self.limit - (self.limit_used or 0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system under a folder that matters."""

    purpose: str
    """"model cache", "sdoctor state"."""
    path: str
    free: int | None = None
    total: int | None = None
    kind: str | None = None
    """File system type: "ext4", "overlay", "nfs4", ..."""
    medium: str | None = None
    """What the file system lies on: "nvme", "ssd", "hdd" (rotates), "usb", "card", "virtual" (a virtual machine's, behind
    which may be anything), "memory", "network"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory of a GPU."""

    pid: int
    name: str | None = None
    memory_used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigDevice:
    """A slice of a card that is divided by MIG, which a program sees as a card."""

    name: str | None = None
    uuid: str | None = None
    memory_total: int | None = None
    memory_used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One graphics card, as its driver describes it."""

    index: int
    name: str | None = None
    vendor: str = "nvidia"
    uuid: str | None = None
    capability: tuple[int, int] | None = None
    """CUDA compute capability (major, minor)."""
    memory_total: int | None = None
    memory_used: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    power: float | None = None
    """Drawn now."""
    power_limit: float | None = None
    power_limit_default: float | None = None
    power_limit_max: float | None = None
    temperature: float | None = None
    temperature_slowdown: float | None = None
    """From here on the hardware halves the clocks."""
    clock_sm: int | None = None
    clock_sm_max: int | None = None
    clock_memory: int | None = None
    clock_memory_max: int | None = None
    clock_reasons: tuple[str, ...] | None = None
    """Clock event reasons (throttle reasons) that are active now, by NVML's names."""
    ecc_enabled: bool | None = None
    ecc_uncorrected: int | None = None
    mig_enabled: bool | None = None
    mig_devices: tuple[MigDevice, ...] | None = None
    """Its slices; () without MIG."""
    display_active: bool | None = None
    persistence: bool | None = None
    """Whether the driver keeps the card started while no program uses it (Linux)."""

    @property
    def memory_free(self) -> int | None:
        """Bytes of the card that nobody holds; None if either figure is unknown."""
        if self.memory_total is None or self.memory_used is None:
            return None
        return self.memory_total - self.memory_used


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The NVIDIA driver: what its library says, what its kernel module says, what stands in the way."""

    version: str | None = None
    cuda_version: tuple[int, int] | None = None
    """Newest CUDA that this driver serves (not the CUDA that torch was built with)."""
    kernel_module_version: str | None = None
    library_found: bool | None = None
    """Whether ``libnvidia-ml`` could be loaded."""
    error: str | None = None
    """NVML's own error text when it could not be started, for example "Driver/Library Version Mismatch"."""
    pci_devices: int | None = None
    """NVIDIA display controllers seen on the PCI bus, whatever the driver says."""
    nouveau_loaded: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBuild:
    """Which torch is installed, read from its files: torch itself is not imported."""

    version: str | None = None
    cuda: str | None = None
    """CUDA that torch was built with ("12.8"), or None for a build without CUDA."""
    hip: str | None = None
    architectures: tuple[str, ...] | None = None
    """GPU architectures that the build carries: "sm_80", ..."""
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution that matters for image generation."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    """Its requirements as its metadata state them, for packages that matter (PEP 508 strings)."""
    build: dict[str, str] | None = None
    """What the package says about how it was built (xformers: torch, cuda, python)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The interpreter that runs sdoctor."""

    version: str | None = None
    implementation: str | None = None
    bits: int | None = None
    prefix: str | None = None
    virtual_environment: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Xid:
    """A fault that the NVIDIA driver wrote into the kernel's log since the system was started."""

    code: int
    device: str | None = None
    """PCI address of the card: "0000:01:00"."""
    count: int = 1
    """How often this code was logged for this card."""
    text: str | None = None
    """What the last of these lines said after the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An error line of a program, recognised in a pasted report."""

    kind: str
    """What it says, in sdoctor's words: "out-of-memory", "no-kernel-image"; doctor.reports.messages lists them."""
    text: str
    """The line itself, at most 300 characters."""
    values: dict[str, str] = field(default_factory=dict)
    """What was parsed out of it: versions and names as they stand there, sizes in bytes."""


class ProbeOutcome(StrEnum):
    """How a live probe ended."""

    OK = "ok"
    FAILED = "failed"
    """It raised an error, or ended without an answer."""
    CRASHED = "crashed"
    """A signal, or on Windows an exception of the system, ended it."""
    TIMED_OUT = "timed_out"
    NOT_APPLICABLE = "not_applicable"
    """There was nothing to measure: no such card, package or file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeValue:
    """One figure that a probe measured."""

    name: str
    value: float
    unit: str
    """"s", "us", "GB/s" (10**9 bytes), "TFLOP/s" (10**12 operations), "count", ..."""
    device: str | None = None
    """"cpu" or, in CUDA's own order of the cards, "cuda:0"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What one live probe found out."""

    name: str
    outcome: ProbeOutcome
    values: tuple[ProbeValue, ...] = ()
    """What was measured, also before a crash."""
    notes: dict[str, str] = field(default_factory=dict)
    """Words that go with it: names of devices, answers that are no number."""
    during: str | None = None
    """What it was doing when it crashed, hung or failed."""
    error: str | None = None
    """The error in its own words, or why the probe does not apply; redacted, at most some lines."""
    seconds: float | None = None
    """Wall time of the child process, without the wait for its turn; None if none was started."""

    def value(self, name: str, device: str | None = None) -> float | None:
        """The figure of that name (and device, if given), or None."""
        return next(
            (one.value for one in self.values if one.name == name and device in (None, one.device)), None
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that figures were measured on, each once."""
        return tuple(dict.fromkeys(one.device for one in self.values if one.device is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A fact that could not be read, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the checks, the tuner and the daemon know about a machine."""

    schema: str = SCHEMA
    captured_at: str | None = None
    """ISO 8601, UTC."""
    host: Host = field(default_factory=Host)
    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    disks: tuple[Disk, ...] | None = None
    gpus: tuple[Gpu, ...] | None = None
    """Cards that the driver reports; () if it is certain that there is none, None if unknown."""
    driver: Driver = field(default_factory=Driver)
    xids: tuple[Xid, ...] | None = None
    """Faults of cards in the kernel's log; () if it holds none, None if it may not be read."""
    python: Python = field(default_factory=Python)
    torch: TorchBuild | None = None
    """None if torch is not installed or unknown; ``packages`` tells which."""
    packages: tuple[Package, ...] | None = None
    environment: dict[str, str] | None = None
    """Environment variables that matter, values redacted where they may hold a secret."""
    messages: tuple[Message, ...] = ()
    """Error lines of a pasted report, or of a live probe that failed."""
    read_from: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a pasted report: format -> the facts that it contributed."""
    probes: tuple[ProbeResult, ...] | None = None
    """What the live probes found; None if none were run."""
    unread: tuple[Unread, ...] = ()

    def probe(self, name: str) -> ProbeResult | None:
        """The result of that live probe, or None if it was not run."""
        return next((probe for probe in self.probes or () if probe.name == name), None)

    def message(self, kind: str) -> Message | None:
        """The first message of that kind, or None."""
        return next((message for message in self.messages if message.kind == kind), None)

    def package(self, name: str) -> Package | None:
        """The installed distribution of that (normalised) name, or None."""
        return next((package for package in self.packages or () if package.name == name), None)

    def to_json(self) -> bytes:
        """The snapshot as one JSON document."""
        import msgspec  # what only reads this machine does without it: 13 ms

        return msgspec.json.encode(self)

    @staticmethod
    def from_json(text: bytes | str) -> Facts:
        """Read back what ``to_json`` wrote. Raises ValueError if it is not a snapshot of this schema."""
        import msgspec

        facts = msgspec.json.decode(text, type=Facts)
        if facts.schema != SCHEMA:
            raise ValueError(f"this snapshot has the schema {facts.schema!r}; this sdoctor reads {SCHEMA!r}")
        return facts
