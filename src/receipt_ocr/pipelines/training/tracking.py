"""What a training leaves in its MLflow run, and in the record beside its checkpoint."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from receipt_ocr.detector.checkpoint import Checkpoint

__all__ = ["log_training", "mlflow_logger", "record_training"]


def mlflow_logger(run_id: str | None) -> "Logger | None":
    """A Lightning logger that writes every epoch's figures into a run; None without a run."""
    if run_id is None:
        return None
    import mlflow
    from lightning.pytorch.loggers import MLFlowLogger

    return MLFlowLogger(run_id=run_id, tracking_uri=mlflow.get_tracking_uri())


def record_training(
    best: "Checkpoint",
    stopped_by: str,
    *,
    inference_seconds_per_page: float | None = None,
    peak_memory_mib: float | None = None,
) -> dict[str, Any]:
    """What a report says of a training, readable without the network.

    Args:
        best: The checkpoint that counts, with the history of all epochs.
        stopped_by: Why no further epoch was trained.
        inference_seconds_per_page: As the training measured it.
        peak_memory_mib: As the training measured it.

    Returns:
        ``best_epoch``; ``precision``, ``recall`` and ``hmean`` of it; ``epochs`` trained;
        ``seconds`` of them all, None where some were not timed; ``stopped_by``; ``parameters`` of
        each part of the network; ``checkpoint_bytes``; and the last two arguments.
    """
    row = next(row for row in best.history if row["epoch"] == best.epoch)
    is_timed = all("seconds" in one for one in best.history)
    return {
        "best_epoch": best.epoch,
        **{name: row.get(name) for name in ("precision", "recall", "hmean")},
        "epochs": len(best.history),
        "seconds": sum(one["seconds"] for one in best.history) if is_timed else None,
        "stopped_by": stopped_by,
        "parameters": best.count_parameters(),
        "checkpoint_bytes": best.size,
        "inference_seconds_per_page": inference_seconds_per_page,
        "peak_memory_mib": peak_memory_mib,
    }


def log_training(run_id: str | None, record: dict[str, Any]) -> None:
    """Write a training's result into its run, as columns to compare folds by."""
    if run_id is None:
        return
    from receipt_ocr.tracking.runs import log_figures

    figures = {f"val_{name}": record[name] for name in ("hmean", "precision", "recall")}
    figures |= {name: record[name] for name in ("best_epoch", "epochs", "seconds")}
    figures["parameters"] = sum(record["parameters"].values())
    figures["checkpoint_mib"] = record["checkpoint_bytes"] / 2**20
    known = {name: float(value) for name, value in figures.items() if value is not None}
    log_figures(run_id, known, {"stopped_by": record["stopped_by"]})
