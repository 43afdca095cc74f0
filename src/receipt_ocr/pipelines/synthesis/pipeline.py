"""Settings -> a raw folder of synthetic receipts."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.synthesis.nodes import draw_receipts


def create_pipeline() -> Pipeline:
    """The synthesis stage."""
    return Pipeline([Node(draw_receipts, "params:synthesis", "raw_receipts", name="draw_receipts")])
