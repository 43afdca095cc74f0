"""Raw receipts -> tables of pages, words and everything that could not be used."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ingestion.nodes import read_receipts


def create_pipeline(**kwargs: object) -> Pipeline:
    """The ingestion stage."""
    return Pipeline(
        [
            Node(
                read_receipts,
                ["raw_receipts", "params:ingestion"],
                ["pages", "words", "rejected"],
                name="read_receipts",
            )
        ]
    )
