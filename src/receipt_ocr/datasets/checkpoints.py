"""Catalog entries of trained detectors, and of the folder that a training works in."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from receipt_ocr.datasets.previews import JSONPreview, preview_json
from receipt_ocr.storage.files import open_folder, storage_options

if TYPE_CHECKING:
    from receipt_ocr.detector.checkpoint import Checkpoint
    from receipt_ocr.training.work_folder import WorkFolder


class CheckpointDataset(AbstractDataset["Checkpoint", "Checkpoint"]):
    """One trained detector: weights, recipe and history, without the optimiser's state.

    Saving is all or nothing: a kill meanwhile leaves the earlier file.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: A path, or any address that fsspec knows.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._filepath = open_folder(filepath, storage_options(credentials, fs_args))
        self.metadata = metadata

    def load(self) -> "Checkpoint":
        """Read the detector; see :func:`receipt_ocr.detector.checkpoint.read_checkpoint`."""
        from receipt_ocr.detector.checkpoint import load_checkpoint

        file = self._filepath
        try:
            content = file.read()
        except FileNotFoundError as error:
            message = f"no checkpoint {file}; train the fold first"
            raise FileNotFoundError(message) from error
        return load_checkpoint(BytesIO(content), file.local or str(file))

    def save(self, data: "Checkpoint") -> None:
        """Write the detector, all or nothing."""
        from receipt_ocr.detector.checkpoint import write_checkpoint

        with TemporaryDirectory() as folder:
            written = Path(folder) / "detector.ckpt"
            write_checkpoint(data, written)
            self._filepath.upload({"": written})

    def preview(self, entries: int = 40) -> JSONPreview:
        """Recipe and figures of the epoch it was written at, for Kedro-Viz; None without a file."""
        if not self._exists():
            return None
        detector = self.load()
        recipe = detector.recipe.model_dump(mode="json")
        figures = detector.history[-1] if detector.history else {}
        return preview_json({"epoch": detector.epoch, **figures, "recipe": recipe}, entries)

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class WorkFolderDataset(AbstractDataset[None, "WorkFolder"]):
    """A folder that a node fills by itself, such as a training with its checkpoints."""

    def __init__(
        self,
        *,
        filepath: str,
        results: dict[str, dict[str, str]] | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: The folder, a path or any address that fsspec knows; it need not exist.
            results: Name -> ``filepath`` of what a finished training leads to elsewhere, or of
                a folder and the ``pattern`` of names below it, in which ``*`` stands for any
                part of a name; removed when another training starts in this folder.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        options = storage_options(credentials, fs_args)
        self._filepath = open_folder(filepath, options)
        self._results = [
            (open_folder(entry["filepath"], options), entry.get("pattern", ""))
            for entry in (results or {}).values()
        ]
        self.metadata = metadata

    def load(self) -> "WorkFolder":
        """The folder; at a remote address nothing is fetched before the node asks for it."""
        from receipt_ocr.training.work_folder import WorkFolder

        return WorkFolder(self._filepath, results=self._results)

    def save(self, data: None) -> None:
        """Refuse: the folder is an input only.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a work folder is written by the node that uses it")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
