"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

# albumentations asks the network for updates at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the golden files and real receipts beside the project, where it exists."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("reference data not present beside the project")
    return folder
