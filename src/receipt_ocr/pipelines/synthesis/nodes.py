"""Node of the synthesis stage."""

from collections.abc import Iterator

from receipt_ocr.synthesis.settings import SynthesisSettings


# Kedro resolves a node's hints when it starts and validates parameters by them; a name that is
# imported only for type checking would switch that off, so the pages are plain objects here.
def draw_receipts(settings: SynthesisSettings) -> Iterator[object]:
    """Draw the pages of all subsets, one at a time, as they are written."""
    from receipt_ocr.synthesis import dataset as synthesis

    return synthesis.draw_receipts(settings)
