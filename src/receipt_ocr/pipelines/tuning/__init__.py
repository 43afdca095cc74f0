"""Tuning: out-of-fold maps -> the post-processing that scores best, and an honest estimate."""

from receipt_ocr.pipelines.tuning.pipeline import create_pipeline as create_pipeline
