"""Raw receipts -> tables of pages, words and everything that could not be used."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ingestion.nodes import read_receipts


def create_pipeline() -> Pipeline:
    """The ingestion stage."""
    inputs, tables = ["raw_receipts", "params:ingestion"], ["pages", "words", "rejected"]
    return Pipeline([Node(read_receipts, inputs, tables, name="read_receipts")])
