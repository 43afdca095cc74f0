"""What keeps a loss or gradients that are no numbers from ruining the weights."""

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MOST_IN_A_ROW", "LossGuard"]

log = logging.getLogger(__name__)

MOST_IN_A_ROW = 3
"""Batches with a loss that is no number, one after the other, that end a training; also steps
with such gradients."""

ADVICE = (
    "look at these pages, lower training.learning_rate, or set training.precision to 32-true, and "
    "start over with --params resume=false"
)


class LossGuard:
    """Counts batches whose loss is not finite and keeps the network as it was before them.

    A batch is bad for all processes if it is for one: they step together or not at all. What
    batch norm measured on a bad batch is put back. A step whose gradients are not finite, though
    the loss was, counts as a bad batch too.
    """

    def __init__(self, network: nn.Module) -> None:
        """Watch a network.

        Args:
            network: The one that is trained.
        """
        self._network = network
        self._kept: list[Tensor] = []
        self._in_a_row = 0
        self._steps_in_a_row = 0
        self.skipped = 0
        """Bad batches and steps so far."""

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
        value, names = _find_bad(loss, pages)
        if self._in_a_row >= MOST_IN_A_ROW:
            raise ValueError(
                f"the loss was no number for {MOST_IN_A_ROW} batches in a row (now {value}, pages "
                f"{names}); {ADVICE}"
            )
        log.warning("The loss is %s: batch skipped (%d so far): %s", value, self.skipped, names)
        return False

    def accepts_gradients(self, pages: Sequence[str]) -> bool:
        """Whether the gradients may change the weights; the same on all processes.

        Clipping does not help where their norm is infinite: infinity times 0 is no number.

        Args:
            pages: Names of the pages that they are of, for messages.

        Raises:
            ValueError: At the third such step in a row; the message names its pages.
        """
        gradients = [p.grad for p in self._network.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
        if math.isfinite(norm):
            self._steps_in_a_row = 0
            return True
        self._steps_in_a_row += 1
        self.skipped += 1
        names = ", ".join(pages)
        if self._steps_in_a_row >= MOST_IN_A_ROW:
            raise ValueError(
                f"the gradients were no numbers for {MOST_IN_A_ROW} steps in a row (pages "
                f"{names}); {ADVICE}"
            )
        log.warning("The gradients' norm is %s: step skipped: %s", norm, names)
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


def _find_bad(loss: Tensor, pages: Sequence[str]) -> tuple[float, str]:
    """A loss that is no number, and the pages behind it, of whichever processes have one."""
    own = (float(loss.detach()), list(pages))
    found = [own]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        found = [own] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, own)
    bad = [(one, names) for one, names in found if not math.isfinite(one)]
    return bad[0][0], ", ".join(name for _, names in bad for name in names)


def _all_finite(loss: Tensor) -> bool:
    """Whether the loss is a number on every process."""
    is_finite = torch.isfinite(loss.detach()).to(torch.float32)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(is_finite, op=torch.distributed.ReduceOp.MIN)
    return bool(is_finite.item())
