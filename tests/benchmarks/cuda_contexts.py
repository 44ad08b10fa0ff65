"""CUDA contexts in published out-of-memory messages beside the rule of tuner/cuda_context.py.

    python -P tests/benchmarks/cuda_contexts.py

Prints the Markdown table of docs/plan.md. A message says what the process has in use, what is allocated and what is
reserved beside it (rounded to 0.01 GiB, so a difference is good to about 15 MiB); the rest is the context and whatever
else a program took past torch. Messages that leave more than 1 GiB (programs with several libraries of their own) are
left out.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from doctor.cards import find_card
from doctor.sizes import MIB
from tuner.cuda_context import context_bytes


@dataclass(frozen=True)
class Message:
    """One published message: GiB, the last one MiB."""

    card: str
    in_use: float
    allocated: float
    unallocated_mib: float
    source: str

    @property
    def left_mib(self) -> float:
        """What neither is allocated nor reserved."""
        return (self.in_use - self.allocated) * 1024 - self.unallocated_mib


# Found by the text of the message in public repositories and issues; the card follows from the total capacity.
MESSAGES = (
    Message("P100", 15.77, 15.44, 20.58, "vllm-project/vllm, issue of 2025-02-14 on a P100"),
    Message("P100", 11.21, 9.46, 1.51 * 1024, "a plan for Kaggle's P100 and a card of 15.56 GiB"),
    Message("V100 SXM2", 18.00, 17.61, 13.91, "verdicts on Sana-4Kpx, a card of 31.74 GiB"),
    Message("T4", 14.73, 14.60, 4.05, "black-forest-labs/flux#459"),
    Message("T4", 13.49, 12.27, 1.09 * 1024, "notes on prepare_model_for_kbit_training, 14.74 GiB"),
    Message("T4", 14.37, 12.77, 1.45 * 1024, "report on full fine-tuning of a decoder, 14.74 GiB"),
    Message("T4", 14.74, 14.31, 320.39, "comment in a notebook on batch size, 14.74 GiB"),
    Message("T4", 11.75, 11.35, 259.15, "report on hyperparameters, 14.74 GiB"),
    Message("RTX 2080 Ti", 6.68, 6.10, 396.58, "lllyasviel/FramePack#369"),
    Message("RTX 3090", 11.79, 11.44, 43.59, "issue on InternVL2, 23.68 GiB"),
    Message("RTX 3090", 22.98, 22.65, 77.68, "results of search_qa, 23.68 GiB"),
    Message("RTX 3090", 16.31, 16.01, 7.47, "torch's crash of cumsum, 23.69 GiB"),
    Message("RTX 3090", 20.50, 20.02, 187.61, "bytedance/X-Portrait#7"),
    Message("A100 40GB", 14.25, 12.87, 912.01, "TianheWu/CoSeR#10"),
    Message("A100 80GB", 16.54, 15.94, 205.65, "HiDream-ai/VAREdit#6"),
    Message("A100 80GB", 72.77, 69.60, 2.68 * 1024, "conversation on max_context_length, 79.25 GiB"),
    Message("A100 80GB", 66.91, 39.50, 26.91 * 1024, "notes on Qwen-2.5-7B, 79.25 GiB"),
    Message("H100", 72.18, 36.69, 34.84 * 1024, "notes on 9450 rows on one H100, 79.10 GiB"),
    Message("L4", 21.96, 21.69, 65.15, "notes on nano_vllm, 22.03 GiB"),
    Message("RTX 4090", 14.56, 13.86, 213.20, "3DTopia/Phidias-Diffusion#8"),
    Message("RTX 4090", 22.69, 21.72, 520.54, "pinokiofactory/flux-webui#11"),
    Message("RTX 4090", 23.48, 22.86, 182.60, "log of a video model, 23.52 GiB"),
    Message("RTX 4090", 23.46, 23.08, 0.97, "log of Qwen3.5-27B, 23.52 GiB"),
    Message("RTX 4090", 23.39, 21.81, 1.12 * 1024, "table of offload modes with T5-XXL, 23.52 GiB"),
    Message("RTX 6000 Ada", 44.40, 43.94, 41.95, "DINGYANB/MTVCrafter#21"),
    Message("RTX 5090", 31.34, 30.74, 19.41, "Wan-Video/Wan2.1#465"),
    Message("RTX 5090", 31.33, 30.57, 185.26, "notes on a multimodal model, 31.37 GiB"),
    Message("RTX 5090", 31.28, 30.76, 33.46, "log of a quantisation, 31.37 GiB"),
    Message("RTX 5090", 16.63, 15.03, 1.00 * 1024, "report on OPERA, 31.36 GiB"),
)


def main() -> None:
    """Print one line per card."""
    print(
        "| card | multiprocessors | messages | left beside torch, MiB (median) | rule, MiB |\n|---|---|---|---|---|"
    )
    for name in dict.fromkeys(message.card for message in MESSAGES):
        left = [message.left_mib for message in MESSAGES if message.card == name]
        card = find_card(name)
        print(
            f"| {name} | {card.multiprocessors} | {len(left)} | {statistics.median(left):.0f} | "
            f"{context_bytes(card) / MIB:.0f} |"
        )


if __name__ == "__main__":
    main()
