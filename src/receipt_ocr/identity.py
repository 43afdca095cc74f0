"""Names of experiments and of the detectors that vote, with one way to read and write each."""

from typing import NamedTuple, Self

PLAIN_VIEW = "none"
"""Name of the TTA view that shows the network each page once, as it is."""


class ExperimentId(NamedTuple):
    """An experiment under one TTA view; its maps, scores and reports are kept under this name."""

    experiment: str
    """Key under ``experiments.variants``; empty for the selected experiment."""
    tta_view: str = PLAIN_VIEW
    """Key under ``test_time.variants``."""

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read ``lite0`` or ``lite0@flips``."""
        experiment, _, view = name.partition("@")
        return cls(experiment, view or PLAIN_VIEW)

    def __str__(self) -> str:
        return self.experiment if self.is_plain else f"{self.experiment}@{self.tta_view}"

    @property
    def is_plain(self) -> bool:
        """Whether pages are seen without test-time augmentation."""
        return self.tta_view == PLAIN_VIEW

    @property
    def params(self) -> str:
        """The experiment as ``--params`` of a command line: ``experiment=lite0,tta=flips``."""
        return f"experiment={self.experiment}" + ("" if self.is_plain else f",tta={self.tta_view}")


class Member(NamedTuple):
    """One fold's detector as a voter of an ensemble."""

    source: ExperimentId | None
    """Experiment whose maps vote; None for the selected one."""
    fold: int
    """Number of the fold, from 0."""

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read ``fold_0`` or ``lite0@flips/fold_0``.

        Raises:
            ValueError: If the name holds no fold.
        """
        experiment, _, fold = name.rpartition("/")
        number = fold.removeprefix("fold_")
        if not number.isdecimal():
            raise ValueError(f"a member is named fold_<k> or <experiment>/fold_<k>, got {name!r}")
        return cls(ExperimentId.parse(experiment) if experiment else None, int(number))

    def __str__(self) -> str:
        own = fold_name(self.fold)
        return f"{self.source}/{own}" if self.source else own

    @property
    def is_external(self) -> bool:
        """Whether another experiment's fold votes."""
        return self.source is not None


def fold_name(fold: int) -> str:
    """Name of a fold in files, tables and the graph: ``fold_0``."""
    return f"fold_{fold}"
