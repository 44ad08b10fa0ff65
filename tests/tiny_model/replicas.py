"""Data-parallel training on a few cores: one thread per replica, all on the same weights.

For models this small it is faster than torch's own threads, which meet at the end of every operation; replicas
meet once a step. The result does not depend on which thread is first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

Loss = Callable[[nn.Module, int], torch.Tensor]


class Replicas:
    """Copies of a module that share its parameters and have gradients of their own."""

    def __init__(self, model: nn.Module, count: int) -> None:
        torch.set_num_threads(1)
        self._all = [model, *(copy.deepcopy(model) for _ in range(count - 1))]
        for other in self._all[1:]:
            for mine, shared in zip(other.parameters(), model.parameters(), strict=True):
                mine.data = shared.data
        self._threads = ThreadPoolExecutor(count)

    def backward(self, loss: Loss) -> float:
        """Call ``loss(replica, index)`` for every replica; leaves the mean gradient in the model, returns the mean loss."""
        losses = list(self._threads.map(lambda index: self._one(loss, index), range(len(self._all))))
        gradients = [[parameter.grad for parameter in replica.parameters()] for replica in self._all]
        for other in gradients[1:]:
            torch._foreach_add_(gradients[0], other)
        torch._foreach_div_(gradients[0], len(self._all))
        return sum(losses) / len(losses)

    def _one(self, loss: Loss, index: int) -> float:
        replica = self._all[index]
        for parameter in replica.parameters():
            parameter.grad = None
        value = loss(replica, index)
        value.backward()
        return value.item()
