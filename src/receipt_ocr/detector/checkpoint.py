"""A trained detector's file: how it is read, written and turned into a network again."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import is_zipfile

import torch
from pydantic import ValidationError

from receipt_ocr.detector.network import DBNet, build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.trained import Checkpoint, EpochRow

__all__ = [
    "Checkpoint",
    "EpochRow",
    "build_from_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]

_PREFIX = "network."
"""Lightning stores the weights under the name of the module's attribute."""

_READ_ERRORS = (KeyError, TypeError, AttributeError, RuntimeError, pickle.UnpicklingError)
"""Errors that reading any other file as a checkpoint may raise."""


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint that a training or :func:`write_checkpoint` has written.

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
    """Read a checkpoint from an open, seekable file; ``file`` names its source in messages.

    Raises:
        ValueError: If it is not a checkpoint of this project.
    """
    try:
        # torch takes any file that is no archive for its oldest format, and fails in any way.
        if not is_zipfile(content):
            raise TypeError("not an archive of torch")
        content.seek(0)
        # Only weights: unpickling anything else would run code that the file brings along.
        stored: Any = torch.load(content, map_location="cpu", weights_only=True)
        if not isinstance(stored, dict):
            raise TypeError(f"it holds a {type(stored).__name__}")
        recipe = Recipe.model_validate(stored["hyper_parameters"]["recipe"])
        state = {
            name.removeprefix(_PREFIX): value
            for name, value in stored["state_dict"].items()
            if name.startswith(_PREFIX)
        }
        return Checkpoint(file, recipe, state, int(stored["epoch"]), stored["history"])
    except ValidationError as error:
        raise ValueError(f"{file} was trained with settings of another version: {error}") from error
    except _READ_ERRORS as error:
        first = str(error).partition("\n")[0][:200]
        raise ValueError(
            f"{file} is not a detector's checkpoint, or damaged ({type(error).__name__}: {first}); "
            "give a file that train_fold has written"
        ) from error


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint whole or not at all, without the optimiser's state.

    The keys are those of Lightning, so that :func:`read_checkpoint` reads both kinds of files.
    """
    content = {
        "hyper_parameters": {"recipe": checkpoint.recipe.model_dump(mode="json")},
        "state_dict": {f"{_PREFIX}{name}": value for name, value in checkpoint.state.items()},
        "epoch": checkpoint.epoch,
        "history": checkpoint.history,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    torch.save(content, partial)
    partial.replace(path)


def build_from_checkpoint(checkpoint: Checkpoint, expected: Recipe | None = None) -> DBNet:
    """Build the network of a checkpoint, in evaluation mode.

    Raises:
        ValueError: If the checkpoint holds another architecture than its recipe, or than
            ``expected``, describes.
    """
    own = _describe(checkpoint.recipe)
    if expected is not None and own != _describe(expected):
        raise ValueError(
            f"{checkpoint.source} holds another architecture: {own}, while the experiment asks for "
            f"{_describe(expected)}; retrain the fold or select the experiment it belongs to "
            "(--params experiment=...)"
        )
    network = build_network(checkpoint.recipe.network, load_weights=False)
    try:
        network.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        # torch lists every layer that does not fit under a headline; one of them says enough.
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(
            f"{checkpoint.source} does not hold the weights of {own}: {first[:200]}; give a file "
            "that train_fold has written"
        ) from error
    return network.eval()


def _describe(recipe: Recipe) -> str:
    """Name all settings that decide which weights a network has."""
    network = recipe.network
    decoder = "" if network.decoder == "dbnet" else f" {network.decoder}"
    return f"{network.encoder} {network.inner_channels}/{network.output_channels}{decoder}"
