"""Raw folders in the competition's layout, drawn by the tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WORD = {"points": [[10, 10], [60, 10], [60, 30], [10, 30]]}


def write_raw(folder: Path, **subsets: int) -> Path:
    """Write so many pages of noise a subset, ``train_0.png`` and so on, with one word each."""
    rng = np.random.default_rng(0)
    (folder / "jsons").mkdir(parents=True)
    for subset, count in subsets.items():
        (folder / "images" / subset).mkdir(parents=True)
        images: dict[str, Any] = {f"{subset}_{k}.png": {"words": {"1": WORD}} for k in range(count)}
        for name in images:
            noise = rng.integers(0, 256, (90, 80, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "images" / subset / name)
        (folder / f"jsons/{subset}.json").write_text(json.dumps({"images": images}))
    return folder
