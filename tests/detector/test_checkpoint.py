"""Detectors on disk: the round trip, and files that are something else."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from receipt_ocr.detector.checkpoint import build_from_checkpoint, read_checkpoint, write_checkpoint
from receipt_ocr.detector.inference import Detector
from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.trained import Checkpoint

HISTORY = [{"epoch": 0.0, "loss": 2.5, "hmean": 0.25}]


@pytest.fixture
def checkpoint(recipe: Recipe) -> Checkpoint:
    network = build_network(recipe.network)
    return Checkpoint(Path("memory"), recipe, dict(network.state_dict()), 3, HISTORY)


@pytest.fixture
def stored(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    file = tmp_path / "deep" / "fold_0.ckpt"
    write_checkpoint(checkpoint, file)
    return file


def test_a_checkpoint_returns_as_it_was_written(checkpoint: Checkpoint, stored: Path) -> None:
    read = read_checkpoint(stored)
    assert (read.source, read.recipe, read.epoch) == (stored, checkpoint.recipe, 3)
    assert read.history == HISTORY
    assert read.state.keys() == checkpoint.state.keys()
    assert all(torch.equal(read.state[k], checkpoint.state[k]) for k in read.state)
    assert [f.name for f in stored.parent.iterdir()] == ["fold_0.ckpt"]


def test_the_fingerprint_is_that_of_the_weights_alone(checkpoint: Checkpoint, stored: Path) -> None:
    first = checkpoint.fingerprint
    assert len(first) == 16 and int(first, 16) >= 0
    assert read_checkpoint(stored).fingerprint == first
    assert replace(checkpoint, epoch=7, history=[]).fingerprint == first
    turned = dict(reversed(checkpoint.state.items()))
    for name, value in turned.items():
        if value.ndim == 4:
            turned[name] = value.contiguous(memory_format=torch.channels_last)
    assert replace(checkpoint, state=turned).fingerprint == first


def test_any_other_weight_name_or_shape_is_another_fingerprint(checkpoint: Checkpoint) -> None:
    state = {"a": torch.arange(6.0), "b": torch.tensor(1), "c": torch.empty(0)}
    others = [
        {**state, "a": torch.tensor([0.0, 1, 2, 3, 4, 5 + 1e-6])},
        {**state, "a": torch.arange(6.0).reshape(2, 3)},
        {**state, "b": torch.tensor(1, dtype=torch.int32)},
        {"a": state["a"], "b": state["b"], "d": state["c"]},
        {"a": state["a"], "b": state["b"]},
    ]
    prints = {replace(checkpoint, state=s).fingerprint for s in [state, *others]}
    assert len(prints) == 6


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*fold_9\.ckpt; train the fold"):
        read_checkpoint(tmp_path / "fold_9.ckpt")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"an essay on receipts",
        pickle.dumps({"state_dict": {}}, protocol=2),
        b"PK\x03\x04 torn archive",
        {"weights": torch.zeros(1)},  # what torch can read but is no detector
        torch.zeros(3),
        "text",
        {"hyper_parameters": {"recipe": {}}, "state_dict": 5, "epoch": 0, "history": []},
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: object) -> None:
    file = tmp_path / "other.ckpt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    message = r"other\.ckpt is not a detector's checkpoint.*give a file that train_fold has written"
    with pytest.raises(ValueError, match=message):
        Detector.from_checkpoint(str(file), device="cpu")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(stored: Path, share: float) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(len(whole) * share)])
    message = r"fold_0\.ckpt is not a detector's checkpoint, or damaged"
    with pytest.raises(ValueError, match=message):
        read_checkpoint(stored)


def test_settings_of_another_version_are_named(checkpoint: Checkpoint, stored: Path) -> None:
    content = torch.load(stored, weights_only=True)
    content["hyper_parameters"]["recipe"]["network"]["dropout"] = 0.5
    torch.save(content, stored)
    with pytest.raises(ValueError, match=r"(?s)fold_0\.ckpt was trained with settings.*dropout"):
        read_checkpoint(stored)


@pytest.mark.parametrize(
    ("other", "described"),
    [
        ({"inner_channels": 32}, "test_resnet 32/4"),
        ({"decoder": "dbnet++"}, r"test_resnet 16/4 dbnet\+\+"),
    ],
)
def test_another_architecture_than_expected_is_named(
    checkpoint: Checkpoint, stored: Path, other: dict[str, Any], described: str
) -> None:
    network = checkpoint.recipe.network.model_copy(update=other)
    expected = checkpoint.recipe.model_copy(update={"network": network})
    message = rf"fold_0\.ckpt .*: test_resnet 16/4, while .* asks for {described}; retrain the fold"
    with pytest.raises(ValueError, match=message):
        build_from_checkpoint(read_checkpoint(stored), expected)


def test_foreign_weights_are_named(checkpoint: Checkpoint, stored: Path) -> None:
    foreign = Checkpoint(stored, checkpoint.recipe, {"conv.weight": torch.zeros(1)}, 0, [])
    message = r"fold_0\.ckpt does not hold the weights of test_resnet 16/4: .*; give a file that"
    with pytest.raises(ValueError, match=message):
        build_from_checkpoint(foreign)
    wider = {k: torch.cat([v, v]) if v.ndim else v for k, v in checkpoint.state.items()}
    with pytest.raises(ValueError, match=message):
        build_from_checkpoint(Checkpoint(stored, checkpoint.recipe, wider, 0, []))


def test_parameters_are_counted_by_part_without_statistics(checkpoint: Checkpoint) -> None:
    network = build_network(checkpoint.recipe.network)
    counts = checkpoint.count_parameters()
    assert set(counts) == {"encoder", "decoder", "head"}
    assert sum(counts.values()) == sum(value.numel() for value in network.parameters())


def test_the_size_is_that_of_all_weights_and_nearly_that_of_the_file(
    checkpoint: Checkpoint, stored: Path
) -> None:
    state = {"encoder.conv.weight": torch.zeros(2, 3), "encoder.bn.running_mean": torch.zeros(5)}
    state["encoder.bn.num_batches_tracked"] = torch.tensor(7)
    state["head.bias"] = torch.zeros(4, dtype=torch.float16)
    small = replace(checkpoint, state=state)
    assert small.count_parameters() == {"encoder": 6, "head": 4}
    assert small.size == 6 * 4 + 5 * 4 + 8 + 4 * 2
    extra = stored.stat().st_size - checkpoint.size
    assert 0 < extra < 2_000 * len(checkpoint.state)
