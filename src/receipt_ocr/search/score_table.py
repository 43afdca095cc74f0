"""Scores of all pages of a search at every point that was tried, each computed once."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.search.page_scoring import MEASURES, PageScores, Point, score_page
from receipt_ocr.search.workers import PageExecutor

Flags = NDArray[np.bool_]


class ScoreTable:
    """Page scores, filled in by processes that stay up until the ``with`` block ends.

    Grid, refinement and sensitivity share one table: a point that one of them has scored costs
    the others nothing.
    """

    def __init__(
        self,
        maps: Mapping[str, LoadMap],
        truths: Mapping[str, TruthWords],
        base: PostprocessSettings,
        folds: Mapping[str, int] | None = None,
        workers: int = 1,
    ) -> None:
        """Score nothing yet.

        Args:
            maps: Page -> function that loads its out-of-fold map.
            truths: Page -> its true words, prepared with the variant of the score to use.
            base: Everything that is not tuned.
            folds: Page -> its fold, for the cross-fitted estimate; None puts all in one.
            workers: Number of processes that share the pages.

        Raises:
            ValueError: If there are no pages, or the three mappings name different pages.
        """
        _check_pages(maps, truths, folds)
        self.base = base
        self.pages = sorted(maps)
        """Names of the pages, in the order of all arrays."""
        self.folds = np.array([0 if folds is None else folds[page] for page in self.pages])
        """(pages,) the fold of each page."""
        self.everywhere = np.ones(len(self.pages), dtype=np.bool_)
        """(pages,) all true."""
        self._maps, self._truths = maps, truths
        self._scores: dict[Point, PageScores] = {}
        self._executor = PageExecutor(workers)

    def __enter__(self) -> Self:
        """Start the processes."""
        self._executor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes, also after errors."""
        self._executor.__exit__(*error)

    def __getitem__(self, point: Point) -> PageScores:
        """(pages, 3) recall, precision and H-mean; NaN on pages where the point was not tried."""
        return self._scores[point]

    @property
    def held_out_folds(self) -> list[int]:
        """Folds that can be held out in turn; none where there is one fold only."""
        folds = sorted(set(self.folds.tolist()))
        return folds if len(folds) > 1 else []

    def fill(self, wanted: Iterable[tuple[Point, Flags]], title: str | None = None) -> None:
        """Score points on the flagged pages, where they are not scored yet, in one round.

        Raises:
            RuntimeError: If a process has died.
        """
        missing: dict[Point, Flags] = {}
        for point, is_wanted in wanted:
            empty = np.full((len(self.pages), len(MEASURES)), np.nan)
            is_new = is_wanted & np.isnan(self._scores.setdefault(point, empty)[:, 0])
            missing[point] = is_new | missing.get(point, False)
        points_of = {
            page: [point for point, is_missing in missing.items() if is_missing[place]]
            for place, page in enumerate(self.pages)
        }
        jobs = {page: partial(self._load, page, new) for page, new in points_of.items() if new}
        if not jobs:
            return
        places = {page: place for place, page in enumerate(self.pages)}
        score = partial(score_page, base=self.base)
        for page, rows in self._executor.map(score, jobs, title):
            for point, row in zip(points_of[page], rows, strict=True):
                self._scores[point][places[page]] = row

    def mean(self, point: Point, is_included: Flags | None = None) -> NDArray[np.float64]:
        """Page means of recall, precision and H-mean, on all pages or on those included."""
        scores = self[point] if is_included is None else self[point][is_included]
        means: NDArray[np.float64] = scores.mean(axis=0)
        return means

    def row(self, point: Point) -> dict[str, float]:
        """A row of a table: the settings, and the page means ``recall, precision, hmean``."""
        return {**point._asdict(), **dict(zip(MEASURES, self.mean(point).tolist(), strict=True))}

    def cross_fit(self, choices: Mapping[int, Point]) -> float | None:
        """Page-mean H-mean of each fold's pages at the point chosen without them; None if none."""
        if not choices:
            return None
        hmeans = np.empty(len(self.pages))
        for fold, point in choices.items():
            hmeans[self.folds == fold] = self[point][self.folds == fold, 2]
        return float(hmeans.mean())

    def _load(
        self, page: str, points: list[Point]
    ) -> tuple[ProbabilityMap, TruthWords, list[Point]]:
        return self._maps[page](), self._truths[page], points


def _check_pages(
    maps: Mapping[str, object], truths: Mapping[str, object], folds: Mapping[str, object] | None
) -> None:
    if not maps:
        raise ValueError("a search needs at least one page with a map, got none")
    named = {"truths": truths} if folds is None else {"truths": truths, "folds": folds}
    for name, pages in named.items():
        differing = sorted(set(maps) ^ set(pages))
        if differing:
            raise ValueError(
                f"maps and {name} must name the same pages, but {len(differing)} are in one of "
                f"them only: {differing[:5]}"
            )
