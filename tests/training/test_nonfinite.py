"""A loss that is not finite: counted, passed over without a trace, and the end of it."""

import logging

import pytest
import torch
from torch import nn

from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.nonfinite import NonFiniteGuard
from tests.training.small_training import SmallTraining

GOOD, BAD = torch.tensor(1.0), torch.tensor(float("nan"))


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def test_three_bad_batches_in_a_row_end_it_and_their_pages_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = NonFiniteGuard(make_network())
    guard.keep()
    with caplog.at_level(logging.WARNING):
        accepted = [guard.accepts_batch(loss, ["a.jpg"]) for loss in (BAD, BAD, GOOD, BAD, BAD)]
    assert accepted == [False, False, True, False, False]
    assert guard.skipped == 4
    assert "batch skipped (2 so far): a.jpg" in caplog.records[1].getMessage()
    message = r"loss was not finite 3 times in a row \(now inf, pages b\.jpg, c\.jpg\).*rate"
    with pytest.raises(ValueError, match=message):
        guard.accepts_batch(torch.tensor(float("inf")), ["b.jpg", "c.jpg"])


def test_gradients_that_are_not_finite_are_counted_and_end_it_at_the_third(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = make_network()
    guard = NonFiniteGuard(network)
    assert not guard.accepts_step()  # there was no batch yet

    def step(value: float) -> bool:
        for weight in network.parameters():
            weight.grad = torch.full_like(weight, value)
        assert guard.accepts_batch(GOOD, ["a.jpg"])
        return guard.accepts_step()

    big = 3e38  # a number, but the norm of several is not
    accepted = [step(value) for value in (1.0, big, big, 0.0, big, float("nan"))]
    assert accepted == [True, False, False, True, False, False]
    assert guard.skipped == 4
    assert "step skipped (4 so far): a.jpg" in caplog.text
    with pytest.raises(ValueError, match=r"gradients' norm .* 3 times in a row \(.*pages a\.jpg\)"):
        step(big)


def test_gradients_that_are_not_finite_change_no_weight(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = DetectorModule.on_after_backward

    def spoil(self: DetectorModule) -> None:
        backward(self)
        if self.trainer.fit_loop.batch_idx == 0:
            next(self.network.parameters()).grad.fill_(float("inf"))  # type: ignore[union-attr]

    monkeypatch.setattr(DetectorModule, "on_after_backward", spoil)
    result = train(epochs=1)
    state = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    assert result.history[0]["skipped_steps"] == 1


def test_what_batch_norm_measured_on_a_bad_batch_is_put_back() -> None:
    network = make_network()
    guard = NonFiniteGuard(network)
    guard.keep()
    network(torch.rand(2, 3, 4, 4))
    assert guard.accepts_batch(GOOD, ["a.jpg"])
    kept = network[1].running_mean.clone()  # type: ignore[union-attr,index,operator]
    network(torch.full((2, 3, 4, 4), float("nan")))
    assert not torch.isfinite(network[1].running_mean).all()  # type: ignore[index,arg-type]
    assert not guard.accepts_batch(BAD, ["a.jpg"])
    assert torch.equal(network[1].running_mean, kept)  # type: ignore[index,arg-type]


def test_the_zero_loss_reaches_every_weight() -> None:
    network = make_network()
    NonFiniteGuard(network).zero_loss().backward()
    assert all(weight.grad is not None and not weight.grad.any() for weight in network.parameters())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_bad_batch_changes_no_weight_and_is_counted(
    accumulate: int, train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Momentum and weight decay would move the weights even without a gradient."""

    def join_weights(module: DetectorModule) -> torch.Tensor:
        return torch.cat([w.detach().flatten() for w in module.network.parameters()])

    weights: list[torch.Tensor] = []
    step = DetectorModule.training_step

    def spoil(self: DetectorModule, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        weights.append(join_weights(self))
        if index == 1:
            batch = {**batch, "threshold_map": batch["threshold_map"] * float("nan")}
        return step(self, batch, index)

    monkeypatch.setattr(DetectorModule, "training_step", spoil)
    ended: list[torch.Tensor] = []
    monkeypatch.setattr(
        DetectorModule, "on_validation_epoch_start", lambda self: ended.append(join_weights(self))
    )
    result = train(epochs=1, weight_decay=0.5, learning_rate=0.01, accumulate=accumulate)
    first, second = weights
    # Two batches: the second is bad. With accumulation they are one step, of the first alone.
    assert torch.equal(first, second) == (accumulate == 2)
    assert torch.equal(ended[0], second) == (accumulate == 1)
    assert torch.isfinite(ended[0]).all()
    assert result.history[0]["skipped_steps"] == 1
    assert result.history[0]["loss"] > 0
