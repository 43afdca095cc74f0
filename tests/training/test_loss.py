"""The terms of the loss on pixels counted by hand, and their gradients."""

from math import log

import pytest
import torch
from torch import Tensor

from receipt_ocr.detector.network import DBNetOutput
from receipt_ocr.detector.settings import LossSettings
from receipt_ocr.training.loss import DBLoss, balanced_cross_entropy, dice_loss, masked_l1


def row(*values: float) -> Tensor:
    """A map (1, 1, 1, W) in float64."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def logit(probability: float) -> float:
    return log(probability / (1 - probability))


def test_cross_entropy_keeps_every_positive_and_the_hardest_negatives() -> None:
    # One positive and a ratio of 2 keep the two worst of four negatives: 0.8 and 0.5.
    logits = row(logit(0.9), logit(0.5), logit(0.1), logit(0.8), logit(0.2))
    truth = row(1, 0, 0, 0, 0)
    expected = -(log(0.9) + log(0.5) + log(0.2)) / 3
    value = balanced_cross_entropy(logits, truth, torch.ones_like(truth), negative_ratio=2.0)
    assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0, 3.5])
def test_cross_entropy_keeps_exactly_ratio_times_positives(ratio: float) -> None:
    # Zero logits give every pixel the same gradient, +-0.5 / count: the pixels that were chosen
    # are those with a gradient.
    truth = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    truth[..., 0, :4] = 1
    logits = torch.zeros_like(truth, requires_grad=True)
    balanced_cross_entropy(logits, truth, torch.ones_like(truth), ratio).backward()
    assert logits.grad is not None
    chosen = logits.grad != 0
    assert chosen[truth == 1].all()
    assert int(chosen[truth == 0].sum()) == int(4 * ratio)
    count = 4 + int(4 * ratio)
    assert logits.grad.max().item() == pytest.approx(0.5 / count, rel=1e-6)


def test_cross_entropy_uses_all_negatives_where_there_are_few() -> None:
    logits, truth = row(0, 0, 0), row(1, 1, 0)
    value = balanced_cross_entropy(logits, truth, torch.ones_like(truth), negative_ratio=3.0)
    assert value.item() == pytest.approx(log(2), rel=1e-6)


def test_l1_is_the_mean_over_the_mask() -> None:
    value = masked_l1(row(0.3, 0.5, 0.9), row(0.7, 0.4, 0.0), row(1, 1, 0))
    assert value.item() == pytest.approx((0.4 + 0.1) / 2, rel=1e-5)


def test_dice_compares_the_overlap_with_both_areas() -> None:
    value = dice_loss(row(1, 0.5, 0.25, 0), row(1, 1, 0, 0), row(1, 1, 1, 1))
    assert value.item() == pytest.approx(1 - 2 * 1.5 / (1.75 + 2), rel=1e-5)
    assert dice_loss(row(1, 0), row(1, 0), row(1, 1)).item() == pytest.approx(0, abs=1e-5)
    assert dice_loss(row(0, 1), row(1, 0), row(1, 1)).item() == 1.0


def test_what_the_mask_hides_changes_no_term() -> None:
    truth, mask = row(1, 0, 0, 1), row(1, 1, 0, 0)
    good, bad = row(0.9, 0.2, 0.5, 0.5), row(0.9, 0.2, 1.0, 0.0)
    for term in (masked_l1, dice_loss):
        assert term(good, truth, mask).item() == term(bad, truth, mask).item()
    rows = row(2, -1, 0, 0), row(2, -1, 9, -9)
    one, other = (balanced_cross_entropy(logits, truth, mask, 3.0) for logits in rows)
    assert one.item() == other.item()


@pytest.mark.parametrize("mask_value", [0.0, 1.0])
def test_a_batch_without_text_is_finite_and_so_is_its_gradient(mask_value: float) -> None:
    leaf = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    output = DBNetOutput(leaf, leaf.sigmoid(), leaf.sigmoid())
    empty = torch.zeros(2, 1, 8, 8)
    mask = torch.full_like(empty, mask_value)
    batch = {"shrink_map": empty, "shrink_mask": mask}
    batch |= {"threshold_map": torch.full_like(empty, 0.3), "threshold_mask": empty}
    parts = DBLoss(LossSettings())(output, batch)
    assert all(torch.isfinite(part) for part in parts)
    assert parts.threshold.item() == 0.0
    parts.total.backward()
    assert leaf.grad is not None and torch.isfinite(leaf.grad).all()
    # Without a positive, three negatives teach the network to stay silent; masked ones do not.
    assert int((leaf.grad != 0).sum()) == (3 if mask_value else 0)


def test_the_terms_are_weighted_and_reported_unweighted() -> None:
    truth = row(1, 0)
    output = DBNetOutput(row(0, 0), row(0.5, 0.5), row(0.5, 0.5))
    batch = {"shrink_map": truth, "threshold_map": row(0.7, 0.3)}
    batch |= {"shrink_mask": row(1, 1), "threshold_mask": row(1, 1)}
    settings = LossSettings(shrink_weight=2.0, threshold_weight=3.0, binary_weight=4.0)
    parts = DBLoss(settings)(output, batch)
    expected = (2 * log(2) + 3 * 0.2 + 4 * 0.5, log(2), 0.2, 0.5)
    assert [part.item() for part in parts] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_those_of_the_formulas() -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (1, 1, 4, 5)
    truth = (torch.rand(shape, generator=generator) > 0.7).double()
    mask = (torch.rand(shape, generator=generator) > 0.2).double()
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    for term in (
        lambda values: balanced_cross_entropy(values, truth, mask, 1.0),
        lambda values: masked_l1(values.sigmoid(), truth, mask),
        lambda values: dice_loss(values.sigmoid(), truth, mask),
    ):
        assert torch.autograd.gradcheck(term, (logits,))
