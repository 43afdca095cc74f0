"""Submission: polygons -> the contest's JSON and CSV."""

from receipt_ocr.pipelines.submission.pipeline import create_pipeline as create_pipeline
