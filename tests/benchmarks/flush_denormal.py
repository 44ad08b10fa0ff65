"""Which share of denormal numbers torch flushes when it was told to: the setting holds for the calling thread.

python -P tests/benchmarks/flush_denormal.py
"""

from __future__ import annotations

import torch


def main() -> None:
    """Multiply denormals on all threads and count the zeros."""
    numbers = torch.full((4_000_000,), 1e-40)
    # The pool of threads stands before the setting is made, as it does in a process that has already computed.
    (numbers * 1.0).sum()
    torch.set_flush_denormal(True)
    flushed = (numbers * 1.0 == 0).float().mean().item()
    print(
        f"{flushed:.0%} of the numbers were flushed with {torch.get_num_threads()} threads, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
