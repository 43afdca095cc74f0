"""Detection: any folder of images -> polygons, no labels needed."""

from receipt_ocr.pipelines.detection.pipeline import create_pipeline as create_pipeline
