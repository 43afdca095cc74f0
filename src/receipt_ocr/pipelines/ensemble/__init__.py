"""Ensemble: the members' maps -> mean maps, polygons, and scores beside each member."""

from receipt_ocr.pipelines.ensemble.pipeline import create_pipeline as create_pipeline
