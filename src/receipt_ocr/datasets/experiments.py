"""What other experiments have left: maps and histories of their folds, found by name."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from receipt_ocr.datasets.probability_maps import StoredMaps
from receipt_ocr.storage import RemoteFolder, open_folder, storage_options

__all__ = ["ExperimentsDataset", "StoredExperiments"]

Folder = Path | RemoteFolder


class StoredExperiments(NamedTuple):
    """The folders of all experiments; nothing is read before it is asked for."""

    maps_folder: Folder
    models_folder: Folder
    command: str

    def maps(self, experiment: str, fold: int, kind: str) -> StoredMaps:
        """Maps of a fold's pages.

        Args:
            experiment: Its name; with test-time augmentation ``name@augmentation``.
            fold: From 0.
            kind: ``out_of_fold``, ``holdout`` or ``test``.
        """
        name, _, tta = experiment.partition("@")
        pipeline = "predict_fold" if tta else "train_fold"
        params = f"fold={fold},experiment={name}" + (f",tta={tta}" if tta else "")
        return StoredMaps(
            self.maps_folder / f"{experiment}/fold_{fold}/{kind}_maps",
            f"{self.command} --pipeline={pipeline} --params {params}",
        )

    def history(self, experiment: str, fold: int) -> pd.DataFrame | None:
        """The epochs of a fold's training; None where there is no such file."""
        name, _, _ = experiment.partition("@")
        file = f"{name}/fold_{fold}_history.csv"
        try:
            if isinstance(self.models_folder, RemoteFolder):
                from io import BytesIO

                return pd.read_csv(BytesIO(self.models_folder.read(file)))
            return pd.read_csv(self.models_folder / file)
        except FileNotFoundError:
            return None


class ExperimentsDataset(AbstractDataset[None, StoredExperiments]):
    """The folders that hold a folder for each experiment; can only be loaded.

    Example of a catalog entry::

        experiments_results:
          type: receipt_ocr.datasets.experiments.ExperimentsDataset
          maps: {filepath: data/07_model_output}
          models: {filepath: data/06_models}
          command: kedro run
    """

    may_be_missing = True  # an ensemble of the selected experiment's folds needs none

    def __init__(  # noqa: PLR0913  # one argument a key of the catalog entry
        self,
        *,
        maps: dict[str, str],
        models: dict[str, str],
        command: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at two folders.

        Args:
            maps: ``filepath`` of the folder with ``<experiment>/fold_<k>/<kind>_maps``.
            models: ``filepath`` of the folder with ``<experiment>/fold_<k>_history.csv``.
            command: That runs pipelines in this environment, for error messages.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        options = storage_options(credentials, fs_args)
        self._maps = open_folder(maps["filepath"], options)
        self._models = open_folder(models["filepath"], options)
        self._command = command
        self.metadata = metadata

    def load(self) -> StoredExperiments:
        """The folders; nothing is read yet."""
        return StoredExperiments(self._maps, self._models, self._command)

    def save(self, data: None) -> None:
        """Refuse: each experiment writes its own results.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("the results of experiments are written by their own stages")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"maps": str(self._maps), "models": str(self._models)}
