"""A trained detector on disk: weights, the recipe that made them, and their history."""

import hashlib
import pickle
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import is_zipfile

import torch
from pydantic import ValidationError

from receipt_ocr.detector.network import DBNet, build_network
from receipt_ocr.detector.settings import Recipe

__all__ = [
    "Checkpoint",
    "EpochRow",
    "build_from_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]

EpochRow = dict[str, float]
"""``epoch``, ``loss`` and its three terms, ``learning_rate``, ``size``, ``skipped_steps``, the
``seconds`` that the epoch took with its validation, and of a training that is judged
``precision``, ``recall`` and ``hmean`` of one epoch."""

PREFIX = "network."

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What batch normalisation keeps beside its parameters."""

NOT_A_CHECKPOINT = (
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    pickle.UnpicklingError,
)
"""What reading any other file as a checkpoint may raise."""


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to run a detector again.

    Attributes:
        source: File it was read from, or its address as text where that is no local one.
        recipe: That the detector was trained with.
        state: Names and weights of the network.
        epoch: Whose end it was written at, from 0.
        history: One row an epoch up to then.
    """

    source: Path | str
    recipe: Recipe
    state: dict[str, torch.Tensor]
    epoch: int
    history: list[EpochRow]

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the weights that a map was predicted with, in 16 hexadecimal digits.

        Two checkpoints have the same one exactly if names, types, shapes and values of their
        weights are the same, whatever the file, recipe and history.
        """
        digest = hashlib.sha256()
        for name, value in sorted(self.state.items()):
            # Row by row and on the CPU, so that neither memory format nor device matters.
            data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(data.numpy().data)
        return digest.hexdigest()[:16]

    def count_parameters(self) -> dict[str, int]:
        """Part of the network (``encoder``, ``decoder``, ``head``) -> its trained numbers."""
        counts: dict[str, int] = {}
        for name, value in self.state.items():
            if name.rpartition(".")[2] not in STATISTICS:
                part = name.partition(".")[0]
                counts[part] = counts.get(part, 0) + value.numel()
        return counts

    @property
    def size(self) -> int:
        """Bytes of its weights, which is nearly all of its file."""
        return sum(value.numel() * value.element_size() for value in self.state.values())


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint of a training, or one written by :func:`write_checkpoint`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a checkpoint of this project.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no checkpoint {file}; train the fold first")
    with file.open("rb") as content:
        return load_checkpoint(content, file)


def load_checkpoint(content: BinaryIO, file: Path | str) -> Checkpoint:
    """Read what lies at an address that is not local, as :func:`read_checkpoint` does.

    Args:
        content: What the file holds; it must be possible to seek in it.
        file: What the file is called in messages, and the checkpoint's ``source``.

    Raises:
        ValueError: If it is not a checkpoint of this project.
    """
    try:
        if not is_zipfile(content):  # else torch tries an old format, and fails in any way
            raise TypeError("not an archive of torch")
        content.seek(0)
        stored: Any = torch.load(content, map_location="cpu", weights_only=True)
        if not isinstance(stored, dict):
            raise TypeError(f"it holds a {type(stored).__name__}")
        recipe = Recipe.model_validate(stored["hyper_parameters"]["recipe"])
        state = {
            name.removeprefix(PREFIX): value
            for name, value in stored["state_dict"].items()
            if name.startswith(PREFIX)
        }
        return Checkpoint(file, recipe, state, int(stored["epoch"]), stored["history"])
    except ValidationError as error:
        raise ValueError(f"{file} was trained with settings of another version: {error}") from error
    except NOT_A_CHECKPOINT as error:
        first = str(error).partition("\n")[0][:200]
        raise ValueError(
            f"{file} is not a detector's checkpoint, or damaged ({type(error).__name__}: {first}); "
            "give a file that train_fold has written"
        ) from error


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write what :func:`read_checkpoint` reads, without the optimiser's state; all or nothing."""
    content = {
        "hyper_parameters": {"recipe": checkpoint.recipe.model_dump(mode="json")},
        "state_dict": {f"{PREFIX}{name}": value for name, value in checkpoint.state.items()},
        "epoch": checkpoint.epoch,
        "history": checkpoint.history,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    torch.save(content, partial)
    partial.replace(path)


def build_from_checkpoint(checkpoint: Checkpoint, expected: Recipe | None = None) -> DBNet:
    """The network of a checkpoint, in evaluation mode.

    Args:
        checkpoint: Weights and recipe.
        expected: Where given, the recipe whose network the checkpoint must hold.

    Raises:
        ValueError: If the checkpoint holds another architecture than its recipe, or than
            ``expected``, describes.
    """
    own = checkpoint.recipe.network
    if expected is not None and _describe(checkpoint.recipe) != _describe(expected):
        raise ValueError(
            f"{checkpoint.source} holds another architecture: {_describe(checkpoint.recipe)}, "
            f"while the experiment asks for {_describe(expected)}; retrain the fold or select "
            "the experiment it belongs to (--params experiment=...)"
        )
    network = build_network(own, load_weights=False)
    try:
        network.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(
            f"{checkpoint.source} does not hold the weights of {_describe(checkpoint.recipe)}: "
            f"{first[:200]}; give a file that train_fold has written"
        ) from error
    return network.eval()


def _describe(recipe: Recipe) -> str:
    """All that decides which weights a network has."""
    network = recipe.network
    decoder = "" if network.decoder == "dbnet" else f" {network.decoder}"
    return f"{network.encoder} {network.inner_channels}/{network.output_channels}{decoder}"
