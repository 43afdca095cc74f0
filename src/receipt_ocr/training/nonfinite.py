"""The non-finite guard: skips steps whose loss or gradients are not finite."""

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

MOST_IN_A_ROW = 3
"""Bad batches one after the other that end a training; also steps with bad gradients."""

_ADVICE = (
    "look at these pages, lower training.learning_rate, or set training.precision to 32-true, and "
    "start over with --params resume=false"
)


class NonFiniteGuard:
    """Counts batches whose loss is not finite, and undoes what they did to batch norm.

    The forward pass of a batch updates the running statistics of batch norm before its loss is
    known: a bad batch would leave NaN in them for good, even if the optimiser skips its step.

    A batch is bad for all processes if it is for one: they wait for each other at every step, so
    that they must step together or not at all. A step whose gradients are not finite, though the
    loss was, counts as a bad batch too.
    """

    def __init__(self, network: nn.Module) -> None:
        """Watch the network that is trained."""
        self._network = network
        self._kept: list[Tensor] = []
        self._pages: list[str] = []
        self._in_a_row = {"loss": 0, "gradients' norm": 0}
        self.skipped = 0
        """Bad batches and steps so far."""

    def accepts_batch(self, loss: Tensor, pages: Sequence[str]) -> bool:
        """Tell whether a batch's loss, a scalar, is finite on all processes.

        Raises:
            ValueError: At the third bad batch in a row; the message names its pages.
        """
        if _is_finite_everywhere(loss):
            self._in_a_row["loss"] = 0
            self._pages += pages
            self.keep()
            return True
        if self._kept:
            torch._foreach_copy_(self._buffers(), self._kept)
        self._skip("batch", "loss", *_find_bad(loss, pages))
        return False

    def accepts_step(self, *, check_gradients: bool = True) -> bool:
        """Tell whether the optimiser may step: after a good batch, and with finite gradients.

        Clipping does not help where their norm is infinite: infinity times 0 is NaN.

        Raises:
            ValueError: At the third step in a row with bad gradients; the message names its pages.
        """
        pages, self._pages = self._pages, []
        if not (pages and check_gradients):
            return bool(pages)
        gradients = [p.grad for p in self._network.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))
        if math.isfinite(norm):
            self._in_a_row["gradients' norm"] = 0
            return True
        self._skip("step", "gradients' norm", norm, pages)
        return False

    def zero_loss(self) -> Tensor:
        """Build a loss of 0 that depends on all weights.

        DDP waits for the gradient of every weight in every backward pass, so that a bad batch
        needs one as well.
        """
        return torch.stack([weight.sum() * 0.0 for weight in self._network.parameters()]).sum()

    def keep(self) -> None:
        """Remember the statistics of batch norm; to be called before the first batch."""
        buffers = self._buffers()
        if not self._kept:
            self._kept = [buffer.clone() for buffer in buffers]
        elif buffers:
            torch._foreach_copy_(self._kept, buffers)

    def _skip(self, unit: str, what: str, value: float, pages: Sequence[str]) -> None:
        self.skipped += 1
        self._in_a_row[what] += 1
        names = ", ".join(pages)
        if self._in_a_row[what] >= MOST_IN_A_ROW:
            raise ValueError(
                f"the {what} was not finite {MOST_IN_A_ROW} times in a row (now {value}, pages "
                f"{names}); {_ADVICE}"
            )
        log.warning(
            "The %s is %s: %s skipped (%d so far): %s", what, value, unit, self.skipped, names
        )

    def _buffers(self) -> list[Tensor]:
        return [buffer for buffer in self._network.buffers() if buffer.is_floating_point()]


def _is_finite_everywhere(loss: Tensor) -> bool:
    is_finite = torch.isfinite(loss.detach()).to(torch.float32)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(is_finite, op=torch.distributed.ReduceOp.MIN)
    return bool(is_finite.item())


def _find_bad(loss: Tensor, pages: Sequence[str]) -> tuple[float, list[str]]:
    """Find a loss that is not finite, and the pages behind it, on whichever process it was."""
    own = (float(loss.detach()), list(pages))
    found = [own]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        found = [own] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, own)
    bad = [(value, names) for value, names in found if not math.isfinite(value)]
    return bad[0][0], [name for _, names in bad for name in names]
