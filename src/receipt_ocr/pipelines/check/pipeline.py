"""Wiring of the check stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.check import nodes

TABLES = ["pages", "words", "rejected", "params:experiments"]
IMAGES = ["pages", "words", "raw_receipts", "params:experiments"]
FINDINGS = ["data_findings", "target_findings", "overfit_findings"]


def create_pipeline() -> Pipeline:
    """Look for what is wrong with data and settings, and draw a page's way to targets and back."""
    data, targets, overfit = FINDINGS
    return Pipeline(
        [
            Node(nodes.inspect_data, TABLES, data, name="inspect_data"),
            Node(nodes.inspect_targets, IMAGES, [targets, "check_picture"], name="inspect_targets"),
            Node(nodes.overfit_one_page, IMAGES, overfit, name="overfit_one_page"),
            Node(nodes.collect_findings, FINDINGS, "check_findings", name="collect_findings"),
        ]
    )
