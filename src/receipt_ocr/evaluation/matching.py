"""The match relation of CLEval: which detections belong to which words.

A pair of a care word and a care detection is a candidate if characters of the word lie in the
detection and the two are close. It matches

- one to one, if each of the two is in no other candidate pair;
- one to many, if the word is in two or more candidate pairs (it is split);
- many to one, if the detection holds characters of two or more words, close or not, that together
  cover enough of it (it merges them).
"""

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.evaluation.overlap import CLOSE, Overlap
from receipt_ocr.geometry.compiled import compiled

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]


def match_words(overlap: Overlap, is_chosen: Flags) -> Flags:
    """(R,) which pairs match, of care words and those (D,) care detections that are chosen."""
    return _match_pairs(
        (overlap.truths, overlap.words.is_care),
        (overlap.detections, overlap.is_care),
        is_chosen,
        overlap.inside,
        (overlap.shares, CLOSE),
    )


@compiled
def _match_pairs(
    truths: tuple[Indices, Flags],
    detections: tuple[Indices, Flags],
    is_chosen: Flags,
    inside: Indices,
    closeness: tuple[NDArray[np.float32], float],
) -> Flags:
    """`match_words` on flat arrays.

    ``truths`` and ``detections`` hold the word or detection of each pair, and which of them are
    care; ``closeness`` the shares of all pairs, and the least share of a close one.
    """
    shares, close = closeness
    (rows, is_care_row), (columns, is_care_column) = truths, detections
    partners_of_row = np.zeros((len(is_care_row), 2), dtype=np.intp)  # all, care only
    partners_of_column = np.zeros((len(is_care_column), 2), dtype=np.intp)  # all, touching care
    covered = np.zeros(len(is_care_column))  # float64, as the reference adds float32 shares
    for pair in range(len(rows)):
        row, column = rows[pair], columns[pair]
        if not is_chosen[column] or inside[pair] == 0:
            continue
        is_care = is_care_row[row] and is_care_column[column]
        if shares[pair] >= np.float32(close):
            # Don't-care partners count here: a word that also has one is not one-to-one.
            partners_of_row[row, 0] += 1
            partners_of_column[column, 0] += 1
            partners_of_row[row, 1] += is_care
        if is_care:
            partners_of_column[column, 1] += 1
            covered[column] += shares[pair]
    matches = np.zeros(len(rows), dtype=np.bool_)
    for pair in range(len(rows)):
        row, column = rows[pair], columns[pair]
        if not (is_care_row[row] and is_care_column[column] and is_chosen[column] and inside[pair]):
            continue
        is_close = shares[pair] >= np.float32(close)
        is_alone = partners_of_row[row, 0] == 1 and partners_of_column[column, 0] == 1
        is_split = partners_of_row[row, 1] >= 2
        is_merged = partners_of_column[column, 1] >= 2 and covered[column] >= close
        matches[pair] = is_merged or (is_close and (is_alone or is_split))
    return matches
