"""Wiring of the contact sheet of training samples."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.samples.nodes import draw_training_samples


def create_pipeline() -> Pipeline:
    """Augmented samples with their targets, drawn as training draws them."""
    inputs = ["params:experiments", "pages", "words", "raw_receipts", "params:epoch"]
    sheet = "augmentation_sheet"
    return Pipeline([Node(draw_training_samples, inputs, sheet, name="draw_training_samples")])
