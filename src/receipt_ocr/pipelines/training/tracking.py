"""MLflow figures of a training, and the record beside its checkpoint."""

from typing import TYPE_CHECKING

from receipt_ocr.records import TrainingRecord
from receipt_ocr.tracking.runs import log_figures

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from receipt_ocr.detector.trained import Checkpoint
    from receipt_ocr.training.result import TrainingResult


def mlflow_logger(run_id: str | None) -> "Logger | None":
    """A Lightning logger that writes every epoch's figures into a run; None without a run."""
    if run_id is None:
        return None
    import mlflow
    from lightning.pytorch.loggers import MLFlowLogger

    return MLFlowLogger(run_id=run_id, tracking_uri=mlflow.get_tracking_uri())


def record_training(best: "Checkpoint", result: "TrainingResult") -> TrainingRecord:
    """Describe a training by its best checkpoint, which holds the history of all epochs."""
    row = next(row for row in best.history if row["epoch"] == best.epoch)
    is_timed = all("seconds" in one for one in best.history)
    return TrainingRecord(
        best_epoch=best.epoch,
        precision=row.get("precision"),
        recall=row.get("recall"),
        hmean=row.get("hmean"),
        epochs=len(best.history),
        seconds=sum(one["seconds"] for one in best.history) if is_timed else None,
        stopped_by=result.stopped_by,
        parameters=best.count_parameters(),
        checkpoint_bytes=best.size,
        inference_seconds_per_page=result.inference_seconds_per_page,
        peak_memory_mib=result.peak_memory_mib,
    )


def log_training(run_id: str | None, record: TrainingRecord) -> None:
    """Write a training's result into its run, as columns to compare folds by."""
    if run_id is None:
        return
    figures = {
        "val_hmean": record.hmean,
        "val_precision": record.precision,
        "val_recall": record.recall,
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "parameters": sum(record.parameters.values()),
        "checkpoint_mib": record.checkpoint_bytes / 2**20,
    }
    log_figures(run_id, figures, {"stopped_by": record.stopped_by})
