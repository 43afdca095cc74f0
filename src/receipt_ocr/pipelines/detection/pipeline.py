"""Wiring of the detection stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.detection.nodes import detect_folder, draw_detections


def create_pipeline() -> Pipeline:
    """Find the words on images that nobody has annotated, with the detector of one fold."""
    detector = ["params:fold", "checkpoint", "tuned_postprocess"]
    detecting = ["params:detection", "params:test_time", *detector]
    drawing = ["params:detection", "detected_words"]
    return Pipeline(
        [
            Node(detect_folder, detecting, "detected_words", name="detect_folder"),
            Node(draw_detections, drawing, "detected_picture", name="draw_detections"),
        ]
    )
