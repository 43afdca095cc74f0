"""Trained detectors on disk, and the folder that a training works in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

if TYPE_CHECKING:
    from receipt_ocr.detector.checkpoint import Checkpoint

__all__ = ["CheckpointDataset", "WorkFolderDataset"]


class CheckpointDataset(AbstractDataset["Checkpoint", "Checkpoint"]):
    """One trained detector: weights, recipe and history, without the optimiser's state."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at a file.

        Args:
            filepath: The file.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> "Checkpoint":
        """Read the detector; see :func:`receipt_ocr.detector.checkpoint.read_checkpoint`."""
        from receipt_ocr.detector.checkpoint import read_checkpoint

        return read_checkpoint(self._filepath)

    def save(self, data: "Checkpoint") -> None:
        """Write the detector, all or nothing."""
        from receipt_ocr.detector.checkpoint import write_checkpoint

        write_checkpoint(data, self._filepath)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class WorkFolderDataset(AbstractDataset[None, Path]):
    """A folder that a node fills by itself, such as a training with its checkpoints."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at a folder.

        Args:
            filepath: The folder; it need not exist.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The folder's path."""
        return self._folder

    def save(self, data: None) -> None:
        """Refuse: the folder is an input only.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a work folder is written by the node that uses it")

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}
