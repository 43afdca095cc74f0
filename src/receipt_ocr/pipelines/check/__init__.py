"""Checks of data and settings before time is spent on training."""

from receipt_ocr.pipelines.check.pipeline import create_pipeline as create_pipeline
