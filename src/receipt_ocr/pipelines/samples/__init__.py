"""Samples: a look at what the network is trained on."""

from receipt_ocr.pipelines.samples.pipeline import create_pipeline as create_pipeline
