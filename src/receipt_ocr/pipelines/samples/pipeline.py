"""Wiring of the contact sheet of training samples."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.samples.nodes import draw_training_samples

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """Augmented samples with their targets, drawn as training draws them."""
    return Pipeline(
        [
            Node(
                draw_training_samples,
                ["params:experiments", "pages", "words", "raw_receipts", "params:epoch"],
                "augmentation_sheet",
                name="draw_training_samples",
            )
        ]
    )
