"""Find near-duplicate pages: the same picture saved again, resized or brightened."""

from collections.abc import Sequence
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from receipt_ocr.receipts.images import read_thumbnail

_HASH_SIDE = 32
"""1024 bits, because with the usual 64 different receipts of one shop (white page, dark lines in
the same places) get the same hash, while copies of one picture still differ by a few bits."""
_THUMBNAIL_SIDE = 4 * _HASH_SIDE
_BLOCK = 1024  # pages compared with all others at once


def hash_images(folder: Path, pages: pd.DataFrame) -> pd.DataFrame:
    """Compute the perceptual hash of each page image, by the columns ``page`` and ``path``.

    Returns:
        One row for each page: ``page`` and ``hash`` (1024 bits as hexadecimal digits).

    Raises:
        FileNotFoundError, ValueError: If an image is missing or cannot be decoded.
    """
    paths = tqdm([folder / path for path in pages["path"]], "hashing pages", disable=None)
    hashes = [_hash_image(path) for path in paths]
    return pd.DataFrame({"page": pages["page"].tolist(), "hash": hashes}, dtype="str")


def group_duplicates(hashes: Sequence[str], distance: int) -> NDArray[np.int64]:
    """Group pages that are linked by a chain of hashes differing in at most ``distance`` bits.

    Returns:
        The group number of each page, (N,); groups are numbered in the order of first pages.

    Raises:
        ValueError: If the hashes are of different lengths.
    """
    if not hashes:
        return np.zeros(0, dtype=np.int64)
    lengths = {len(text) for text in hashes}
    if len(lengths) > 1:
        raise ValueError(f"hashes must have one length, got {sorted(lengths)} hexadecimal digits")
    raw = [np.frombuffer(bytes.fromhex(text), dtype=np.uint8) for text in hashes]
    bits = np.unpackbits(np.stack(raw), axis=1).astype(np.float32)
    count = bits.sum(axis=1)
    links = []
    for start in range(0, len(bits), _BLOCK):  # all pairs at once may not fit in memory
        block = slice(start, start + _BLOCK)
        # Bits of either hash, less those that both have: what differs.
        differing = count[block, None] + count[None] - 2 * bits[block] @ bits.T
        links.append(np.argwhere(differing <= distance) + np.array([start, 0]))
    rows, columns = np.concatenate(links).T
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(bits),) * 2)
    labels = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _hash_image(path: Path) -> str:
    thumbnail = read_thumbnail(path, _THUMBNAIL_SIDE)
    return str(imagehash.phash(thumbnail, hash_size=_HASH_SIDE))
