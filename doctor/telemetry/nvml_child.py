"""The child that asks NVML: one line in, one line of JSON out. It may hang or crash without harm to its parent."""

from __future__ import annotations

import sys

import msgspec

from doctor.telemetry.gpu import GpuSource


def main() -> None:
    """Answer every line on standard input until it is closed."""
    source = GpuSource(processes=True)
    for _ in sys.stdin.buffer:
        gpus, error = source.read()
        sys.stdout.buffer.write(msgspec.json.encode({"gpus": gpus, "error": error}) + b"\n")
        sys.stdout.buffer.flush()
    source.close()


if __name__ == "__main__":
    main()
