"""Hands the library a Lightning logger that writes into the active MLflow run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from receipt_ocr.detector.work_folder import WorkFolder

__all__ = ["fold_logger"]


def fold_logger(work_folder: "WorkFolder") -> "Logger | None":
    """A logger whose figures are prefixed with the fold (``fold_0/hmean``).

    Args:
        work_folder: Of the fold; its name is the prefix.

    Returns:
        None where no MLflow run is active, as in a test that runs a node alone.
    """
    import mlflow
    from lightning.pytorch.loggers import MLFlowLogger

    run = mlflow.active_run()
    if run is None:
        return None
    return MLFlowLogger(
        run_id=run.info.run_id,
        tracking_uri=mlflow.get_tracking_uri(),
        prefix=work_folder.name,
    )
