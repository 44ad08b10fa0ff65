"""Replays a dry run's allocations on a device: weights come and go as the offload mode has it, workspaces are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.caching_allocator import Block, CachingAllocator, OutOfMemory
from tuner.device_model import Device
from tuner.dryrun.rows import CONVOLUTION, ENTER, LEAVE, RELEASE, STAGES, Answer, Call, Component
from tuner.host_replay import inductor_bytes, program_bytes, resident_peak
from tuner.settings import Settings
from tuner.worker.allocator import mapped_from
from tuner.workspaces import convolution_bytes, cublas_bytes

LAYER_BY_LAYER = ("sequential", "group", "group-no-stream")
"""Ways of offloading that bring and take away the weights of each layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePeak:
    """One stage at its highest. Bytes."""

    name: str
    peak_bytes: int
    """As torch.cuda.max_memory_allocated would say; on a CPU, weights and live tensors."""
    weights_bytes: int
    flops: int
    """For "denoise" of one step."""
    moved_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A generation on a device that had room for it."""

    stages: tuple[StagePeak, ...]
    peak_reserved: int


def replay(answer: Answer, offload: str, capability: tuple[int, int], limit: int | None = None) -> Replay:
    """Run it on a CUDA card. Raises OutOfMemory if ``limit`` bytes of reserved memory are too few."""
    run = _Run(answer, offload, capability, limit)
    for index in answer.order:
        call = answer.calls[index]
        # The second step finds the blocks of the first one free, which is how it goes on.
        for _ in range(2 if call.stage == "denoise" else 1):
            run.call(call)
    return run.result()


def replay_on_cpu(
    answer: Answer,
    growth: float = 1.0,
    widening: int | None = None,
    *,
    by_columns: bool = False,
    compiler: int = 0,
) -> Replay:
    """Weights, tensors as they are resident, and oneDNN's copies of each stage.

    ``growth`` is by how much more than these tensors was measured. ``widening`` None: PyTorch computes; else OpenVINO
    does, in numbers that are so many times as wide as the model's. ``by_columns``: how the processor convolves in 16 bits
    (``tuner.workspaces.convolution_bytes_on_cpu``). ``compiler``: bytes that a compiler keeps beside.
    """
    weights = {part.name: part.bytes for part in answer.components}
    threshold = mapped_from(sum(weights.values()))
    highest: dict[str, tuple[int, int]] = {}
    for call in answer.calls:
        held = sum(weights.values()) - weights[call.component.name] + call.component.bytes
        if widening is None:
            tensors = resident_peak(call, threshold, by_columns=by_columns)
            peak = held + compiler + int(growth * tensors) + call.component.dequantised
        else:
            peak = held + int(growth * program_bytes(answer, widening))
        highest[call.stage] = max(highest.get(call.stage, (0, 0)), (peak, held))
    stages = _stages(answer, highest)
    return Replay(stages=stages, peak_reserved=max(stage.peak_bytes for stage in stages))


def replay_on(answer: Answer, settings: Settings, device: Device, growth: float = 1.0) -> Replay:
    """Run it where there is room for everything."""
    if device.capability is not None:
        return replay(answer, settings.offload, device.capability)
    widening = widening_of(settings, device)
    compiler = inductor_bytes(answer, settings.compile)
    return replay_on_cpu(answer, growth, widening, by_columns=not device.convolves_bf16, compiler=compiler)


def widening_of(settings: Settings, device: Device) -> int | None:
    """By how much OpenVINO's numbers are wider than the model's; None where PyTorch computes."""
    if settings.compile != "openvino":
        return None
    return 2 if settings.precision == "bf16" and not device.computes_bf16 else 1


def _stages(answer: Answer, highest: dict[str, tuple[int, int]]) -> tuple[StagePeak, ...]:
    calls = [answer.calls[index] for index in answer.order]
    return tuple(
        StagePeak(
            name=name,
            peak_bytes=highest[name][0],
            weights_bytes=highest[name][1],
            flops=sum(call.flops for call in calls if call.stage == name),
            moved_bytes=sum(call.moved_bytes for call in calls if call.stage == name),
        )
        for name in STAGES
        if name in highest
    )


class _Run:
    """One replay in progress."""

    def __init__(self, answer: Answer, offload: str, capability: tuple[int, int], limit: int | None) -> None:
        self._answer, self._offload, self._capability = answer, offload, capability
        self._allocator = CachingAllocator(limit)
        self._resident: dict[str, list[Block]] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._highest: dict[str, tuple[int, int]] = {}
        self._names = {part.name for part in answer.components}
        for part in answer.components:
            stays = offload == "model" and part.name not in answer.offload_order
            stays = stays or (offload == "sequential" and part.name in answer.kept)
            if offload == "none" or stays:
                self._load(part.name, part.tensors)
            elif offload == "sequential" and part.buffers:
                # accelerate leaves buffers on the device where a module holds no parameters of its own
                # (diffusers, pipeline_utils.enable_sequential_cpu_offload): SD 3.5 medium's table of positions.
                self._load(part.name, (part.buffers,))
            elif offload.startswith("group") and part.scales:
                self._load(part.name, (part.scales,))
        self._allocator.allocate(cublas_bytes(capability))

    def result(self) -> Replay:
        return Replay(
            stages=_stages(self._answer, self._highest), peak_reserved=self._allocator.peak_reserved
        )

    def call(self, call: Call) -> None:
        """One call of a model: its allocations in their order, with its layers' weights as the offload mode has it."""
        allocator = self._allocator
        self._bring(call.component)
        held = sum(block.size for blocks in self._resident.values() for block in blocks)
        allocator.reset_peaks_of_allocated()
        blocks: dict[int, Block] = {}
        layers = _Layers(call, self._offload, allocator)
        workspaces = [convolution_bytes(found, self._capability) for found in call.convolutions]
        for size, number in call.events:
            if size > 0:
                blocks[number] = allocator.allocate(size)
            elif size == RELEASE:
                allocator.release(blocks.pop(number))
            elif size == ENTER:
                layers.enter(number)
            elif size == LEAVE:
                layers.leave(number)
            elif size == CONVOLUTION:
                self._workspace(workspaces[number])
        highest = self._highest.get(call.stage, (0, 0))
        self._highest[call.stage] = max(highest, (allocator.peak_allocated, held))
        layers.end()
        for block in blocks.values():
            allocator.release(block)

    def _workspace(self, choices: tuple[int, ...]) -> None:
        """Take and give back the first choice that there is room for."""
        for size in choices:
            if not size:
                return
            try:
                self._allocator.release(self._allocator.allocate(size))
            except OutOfMemory:
                continue
            return

    def _bring(self, part: Component) -> None:
        """Have a whole component's weights where they are needed; layers come and go by themselves."""
        if self._offload in LAYER_BY_LAYER:
            return
        if self._offload == "model":
            self._send_away_the_one_before(part.name)
        if self._sizes.get(part.name) != part.tensors:
            self._convert(part)

    def _send_away_the_one_before(self, name: str) -> None:
        """As accelerate's hook does (hooks.CpuOffload.pre_forward): that one only, then it empties the cache.

        So SD3's T5 stays while its CLIP encoders read the negative prompt.
        """
        order = [other for other in self._answer.offload_order if other in self._names]
        place = order.index(name) if name in order else 0
        if place:
            if order[place - 1] in self._resident:
                self._unload(order[place - 1])
            self._allocator.empty_cache()

    def _convert(self, part: Component) -> None:
        """Load it, or change its type tensor by tensor as ``module.to(dtype)`` does."""
        old = self._resident.pop(part.name, [])
        self._load(part.name, part.tensors, old)

    def _load(self, name: str, tensors: Sequence[int], old: Sequence[Block] = ()) -> None:
        fresh = []
        for index, size in enumerate(tensors):
            fresh.append(self._allocator.allocate(size))
            if index < len(old):
                self._allocator.release(old[index])
        self._resident[name] = fresh
        self._sizes[name] = tuple(tensors)

    def _unload(self, name: str) -> None:
        for block in self._resident.pop(name):
            self._allocator.release(block)
        del self._sizes[name]


class _Layers:
    """The weights of single layers during one call.

    Sequential offload brings a layer's weights when it begins and takes them away when it ends. Group offload with a
    stream also fetches the layer that follows while one computes (diffusers, hooks/group_offloading.py). Whatever the
    mode, quantised weights are expanded while their layer computes.
    """

    def __init__(self, call: Call, offload: str, allocator: CachingAllocator) -> None:
        self._layers, self._allocator = call.layers, allocator
        self._moves = offload in LAYER_BY_LAYER
        self._order = [number for size, number in call.events if size == ENTER] if offload == "group" else []
        self._place = 0
        self._ahead: Block | None = None
        self._open: list[list[Block]] = []

    def enter(self, number: int) -> None:
        """A layer begins."""
        layer = self._layers[number]
        held = []
        if self._moves and layer.bytes:
            held.append(self._ahead or self._allocator.allocate(layer.bytes))
        self._ahead = None
        self._place += 1
        if self._place < len(self._order):
            following = self._layers[self._order[self._place]]
            self._ahead = self._allocator.allocate(following.bytes) if following.bytes else None
        if layer.expanded:
            held.append(self._allocator.allocate(layer.expanded))
        self._open.append(held)

    def leave(self, _number: int) -> None:
        """The layer that began last ends."""
        for block in self._open.pop():
            self._allocator.release(block)

    def end(self) -> None:
        """The call is over, even where a layer's end was never said."""
        while self._open:
            self.leave(0)
        if self._ahead is not None:
            self._allocator.release(self._ahead)
