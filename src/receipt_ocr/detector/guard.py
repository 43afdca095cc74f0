"""What keeps a loss that is no number from ruining the weights."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MOST_IN_A_ROW", "LossGuard"]

log = logging.getLogger(__name__)

MOST_IN_A_ROW = 3
"""Batches with a loss that is no number, one after the other, that end a training."""


class LossGuard:
    """Counts batches whose loss is not finite and keeps the network as it was before them.

    A batch is bad for all processes if it is for one: they step together or not at all. What
    batch norm measured on a bad batch is put back.
    """

    def __init__(self, network: nn.Module) -> None:
        """Watch a network.

        Args:
            network: The one that is trained.
        """
        self._network = network
        self._kept: list[Tensor] = []
        self._in_a_row = 0
        self.skipped = 0
        """Bad batches so far."""

    def accepts(self, loss: Tensor, pages: Sequence[str]) -> bool:
        """Whether a batch may change the weights.

        Args:
            loss: Of the batch on this process, a scalar.
            pages: Names of the batch's pages, for messages.

        Raises:
            ValueError: At the third bad batch in a row; the message names its pages.
        """
        if _all_finite(loss):
            self._in_a_row = 0
            self.keep()
            return True
        self._in_a_row += 1
        self.skipped += 1
        self._restore()
        value, names = float(loss.detach()), ", ".join(pages)
        if self._in_a_row >= MOST_IN_A_ROW:
            raise ValueError(
                f"the loss was no number for {MOST_IN_A_ROW} batches in a row (now {value}, pages "
                f"{names}); look at these pages, lower training.learning_rate, or set "
                "training.precision to 32-true"
            )
        log.warning("The loss is %s: batch skipped (%d so far): %s", value, self.skipped, names)
        return False

    def zero_loss(self) -> Tensor:
        """A loss of 0 over all weights, for a backward pass that changes nothing."""
        return torch.stack([weight.sum() * 0.0 for weight in self._network.parameters()]).sum()

    def keep(self) -> None:
        """Remember what batch norm has measured; to be called before the first batch."""
        buffers = self._buffers()
        if not self._kept:
            self._kept = [buffer.clone() for buffer in buffers]
        elif buffers:
            torch._foreach_copy_(self._kept, buffers)

    def _restore(self) -> None:
        if self._kept:
            torch._foreach_copy_(self._buffers(), self._kept)

    def _buffers(self) -> list[Tensor]:
        return [buffer for buffer in self._network.buffers() if buffer.is_floating_point()]


def _all_finite(loss: Tensor) -> bool:
    """Whether the loss is a number on every process."""
    is_finite = torch.isfinite(loss.detach()).to(torch.float32)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(is_finite, op=torch.distributed.ReduceOp.MIN)
    return bool(is_finite.item())
