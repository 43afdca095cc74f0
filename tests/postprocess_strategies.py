"""Settings and matrices for the property tests of post-processing and search."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.polygons import Matrix

# Steps of the maps among them; low ones more often, as they find more.
thresholds = st.sampled_from([0.1, 0.29, 0.29, 40 / 255, 0.4, 128 / 255, 0.0, 0.9, 1.0])
box_thresholds = st.sampled_from([0.0, 0.1, 0.1, 0.29, 0.4, 128 / 255, 0.9])
ratios = st.sampled_from([2.0, 1.5, 1.0, 4.0, 0.2])
caps = st.sampled_from([600, 1, 2, 3, 7])
shapes = st.sampled_from(["polygon", "box"])
orders = st.sampled_from(["score", "contour"])
sizes = st.sampled_from([0.0, 0.0, 3.0, 5.0, 8.0])  # at 0 words of 3 points are left

any_settings = st.builds(
    PostprocessSettings,
    thresh=thresholds,
    box_thresh=box_thresholds,
    unclip_ratio=ratios,
    max_candidates=caps,
    min_size=sizes,
    shape=shapes,
    candidate_order=orders,
)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """From the map to a page: stretched and moved."""
    across, down = draw(st.floats(0.3, 4)), draw(st.floats(0.3, 4))
    right, below = draw(st.floats(-40, 40)), draw(st.floats(-40, 40))
    return np.array([[across, 0, right], [0, down, below], [0, 0, 1]])


def with_values(base: PostprocessSettings, **values: Any) -> PostprocessSettings:
    return PostprocessSettings(**{**base.model_dump(), **values})
