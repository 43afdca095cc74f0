"""A trained detector in memory: weights, the recipe that made them, and their history.

Light to import, because pipeline nodes name the class in their signatures; torch comes with the
weights. Its file is in :mod:`receipt_ocr.detector.checkpoint`.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from receipt_ocr.detector.settings import Recipe

if TYPE_CHECKING:
    import torch

EpochRow = dict[str, float]
"""Figures of one epoch: ``epoch``, ``loss`` and its three terms, ``learning_rate``, ``size``,
``skipped_steps``, the ``seconds`` that it took with its validation; ``precision``, ``recall`` and
``hmean`` where there are validation pages."""

_NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked")
"""Statistics of batch normalisation, which are stored beside its parameters."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is needed to run a detector again."""

    source: Path | str
    """File it was read from, or its address as text where that is not a local one."""
    recipe: Recipe
    state: "dict[str, torch.Tensor]"
    """Names and weights of the network."""
    epoch: int
    """Epoch at whose end it was written, from 0; ``history`` reaches to it."""
    history: list[EpochRow]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the weights' names, types, shapes and values, and nothing else.

        Maps note by it which detector made them.
        """
        import torch  # noqa: PLC0415  # see above

        digest = hashlib.sha256()
        for name, value in sorted(self.state.items()):
            # Row by row and on the CPU, so that neither memory format nor device matters.
            data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(data.numpy().data)
        return digest.hexdigest()[:16]

    def count_parameters(self) -> dict[str, int]:
        """Count the trained numbers of ``encoder``, ``decoder`` and ``head``."""
        counts: dict[str, int] = {}
        for name, value in self.state.items():
            if name.rpartition(".")[2] not in _NOT_TRAINED:
                part = name.partition(".")[0]
                counts[part] = counts.get(part, 0) + value.numel()
        return counts

    @property
    def size(self) -> int:
        """Bytes of the weights, which are nearly all of the file."""
        return sum(value.numel() * value.element_size() for value in self.state.values())
