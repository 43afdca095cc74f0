"""The pipelines by name, in the order in which data flows through them."""

from kedro.pipeline import Pipeline

from receipt_ocr.pipelines import (
    check,
    detection,
    ensemble,
    final_fit,
    ingestion,
    leaderboard,
    reporting,
    samples,
    splitting,
    submission,
    synthesis,
    training,
    tuning,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Name -> pipeline; ``__default__`` goes from raw receipts to the report."""
    stages = {
        "ingestion": ingestion.create_pipeline(),
        "splitting": splitting.create_pipeline(),
        "train": training.create_pipeline(),
        "tuning": tuning.create_pipeline(),
        "ensemble": ensemble.create_pipeline() + submission.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return {
        "__default__": sum(stages.values(), Pipeline([])),
        "synthesis": synthesis.create_pipeline(),
        **stages,
        "check": ingestion.create_pipeline() + check.create_pipeline(),
        "final_fit": final_fit.create_pipeline(),
        "train_fold": training.create_fold_pipeline(),
        "predict_fold": training.create_prediction_pipeline(),
        "submission": submission.create_pipeline(),
        "leaderboard": leaderboard.create_pipeline(),
        "score_submission": leaderboard.create_scoring_pipeline(),
        "samples": samples.create_pipeline(),
        "detection": detection.create_pipeline(),
    }
