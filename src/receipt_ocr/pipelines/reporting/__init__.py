"""Reporting: scores and histories -> a report in Markdown and its pictures."""

from receipt_ocr.pipelines.reporting.pipeline import create_pipeline as create_pipeline
