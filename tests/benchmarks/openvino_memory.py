"""What a program of OpenVINO takes in memory, by where its weights come from.

    python -P tests/benchmarks/openvino_memory.py

The text encoder of Stable Diffusion 1.5 in float32, each way in a process of its own. Prints Markdown: MiB beyond the
loaded libraries that are the process's own, and of mapped files, and the seconds until the program stands.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {
    "memory": "PyTorch's model and the program compiled beside it",
    "program": "a compiled program from disk, PyTorch's model already gone",
    "model": "the converted model from disk, PyTorch's model already gone",
}
_CONFIG = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


def resident() -> tuple[int, int]:
    """MiB (own, mapped from files)."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    found = {parts[0]: int(parts[1]) // 1024 for parts in lines if parts[0] in ("RssAnon:", "RssFile:")}
    return found["RssAnon:"], found["RssFile:"]


def measure(way: str, folder: Path) -> None:
    """One way, in this process; prints its row."""
    import torch
    import transformers

    from tuner.models import resolve
    from tuner.worker.allocator import give_back_holes
    from tuner.worker.assemble import empty_model
    from tuner.worker.noise import fill
    from tuner.worker.openvino_library import openvino

    library = openvino()
    reference = resolve("builtin:sd15")
    assert reference.path is not None
    before = resident()
    model: Any = empty_model(reference.path / "text_encoder", transformers.CLIPTextModel)
    fill(model, "text_encoder", torch.float32)
    ids = torch.zeros(1, 77, dtype=torch.long)
    began = time.perf_counter()
    with torch.no_grad():
        converted = library.convert_model(_plain(model), example_input=(ids,), input=[(1, 77)])
    core = library.Core()
    if way == "memory":
        compiled = core.compile_model(converted, "CPU", _CONFIG)
    else:
        library.save_model(converted, folder / "model.xml", compress_to_fp16=False)
        if way == "program":
            exported = core.compile_model(converted, "CPU", _CONFIG).export_model()
            (folder / "program").write_bytes(exported.getbuffer())
            del exported
        del converted, model
        gc.collect()
        give_back_holes()
        began = time.perf_counter()
        if way == "program":
            compiled = core.import_model((folder / "program").read_bytes(), "CPU", _CONFIG)
        else:
            compiled = core.compile_model(core.read_model(folder / "model.xml"), "CPU", _CONFIG)
    seconds = time.perf_counter() - began
    compiled.create_infer_request().infer([ids.numpy()])
    gc.collect()
    give_back_holes()
    after = resident()
    print(f"| {WAYS[way]} | {after[0] - before[0]} | {after[1] - before[1]} | {seconds:.1f} |", flush=True)


def _plain(encoder: Any) -> Any:
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, ids: Any) -> Any:
            return self.encoder(ids, return_dict=False)[0]

    return Plain()


def main() -> None:
    """Each way in a child."""
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
        return
    print("| | own, MiB | mapped, MiB | seconds |\n|---|---|---|---|", flush=True)
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-P", "-W", "ignore", __file__, way, folder], check=True)


if __name__ == "__main__":
    main()
