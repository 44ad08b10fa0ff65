"""A head start for the text encoder: it learns to tell a scene's attributes from its prompt, without any picture.

It takes about a minute, and afterwards the denoiser finds words that already stand apart.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from tiny_model.phrasing import phrase
from tiny_model.scene import COLOURS, PLACES, RADII, RELATIONS, SHAPES, Scene
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

STEPS = 500
_BATCH = 64
_RATE = 1.0e-3
_WARM_UP = 100

_GROUP = {"shape": SHAPES, "colour": tuple(COLOURS), "size": tuple(RADII), "count": (1, 2, 3)}
ATTRIBUTES: dict[str, tuple[object, ...]] = {
    "background": tuple(COLOURS),
    "place": (None, *PLACES),
    "relation": (None, *RELATIONS),
    **{f"{name} {which}": (None, *values) for which in (1, 2) for name, values in _GROUP.items()},
}
"""What is asked, with every answer that there is; None where the scene has no such thing."""


def answers(scene: Scene) -> list[int]:
    """The scene's attributes as indices into ``ATTRIBUTES``, in its order."""
    said: dict[str, object] = {
        "background": scene.background,
        "place": scene.place,
        "relation": scene.relation,
    }
    for which, group in enumerate(scene.groups, start=1):
        said |= {f"{name} {which}": getattr(group, name) for name in _GROUP}
    return [values.index(said.get(name)) for name, values in ATTRIBUTES.items()]


class _Examiner(nn.Module):
    """One learned query per attribute looks at the encoder's states, as the U-Net's cross-attention will."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(ATTRIBUTES), width))
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in ATTRIBUTES.values())

    def forward(self, states: torch.Tensor) -> list[torch.Tensor]:
        """Logits per attribute."""
        seen, _ = self.attention(self.queries.expand(len(states), -1, -1), states, states, need_weights=False)
        return [head(seen[:, index]) for index, head in enumerate(self.heads)]


def train_text(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, scenes: list[Scene], seed: int, steps: int = STEPS
) -> float:
    """Train ``encoder`` in place; returns the share of attributes told right over the last hundred steps."""
    torch.manual_seed(seed)
    examiner = _Examiner(encoder.config.hidden_size)
    parameters = [*encoder.parameters(), *examiner.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=1e-3)
    right: list[float] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1, (step + 1) / _WARM_UP, 0.02 + 2 * (1 - step / steps))
        rng = random.Random(seed * 1_000_003 + step)
        chosen = rng.choices(scenes, k=_BATCH)
        tokens = tokenizer(
            [phrase(scene, rng) for scene in chosen],
            padding="max_length",
            truncation=True,
            max_length=tokenizer.model_max_length,
            return_tensors="pt",
        )
        wanted = torch.tensor([answers(scene) for scene in chosen])
        logits = examiner(encoder(tokens.input_ids).last_hidden_state)
        loss = sum(F.cross_entropy(each, wanted[:, index]) for index, each in enumerate(logits))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        told = torch.stack([each.argmax(1) for each in logits], 1)
        right.append((told == wanted).float().mean().item())
    return sum(right[-100:]) / len(right[-100:])
