"""The members of an ensemble with their stored maps, checked before anything is averaged."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from receipt_ocr.decoding.decode import score_maps
from receipt_ocr.decoding.frames import fitting_frame
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.identity import Member

__all__ = ["KINDS", "MemberMaps", "gather_members", "weigh_members"]

KINDS = ("out_of_fold", "holdout", "test")
"""Sets of pages that a fold's detector predicts maps of."""

PLAIN = "one plain look"

FindMaps = Callable[[Member, str], LazyMaps]
"""Member and kind -> its maps."""


@dataclass(frozen=True)
class MemberMaps:
    """Who votes, and where the maps are.

    Attributes:
        maps: Kind -> name of a member -> its maps, in the order of the settings.
        sources: Name of a member -> fingerprint of its detector and how it looked at the pages.
        folds: Name of a member -> number of its fold.
    """

    maps: Mapping[str, Mapping[str, LazyMaps]]
    sources: Mapping[str, str]
    folds: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        """Of the members."""
        return list(self.sources)


def gather_members(  # noqa: PLR0913, PLR0917  # all that maps are checked against
    settings: EnsembleSettings,
    find: FindMaps,
    pages: Mapping[str, Collection[str]],
    folds: Mapping[str, int],
    kinds: Collection[str] = KINDS,
    look: str | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> MemberMaps:
    """Find the maps of all members and check that they are of today's pages.

    Args:
        settings: Who votes.
        find: Gives a member's maps of a kind; they may turn out not to exist when looked at.
        pages: ``holdout`` and ``test`` -> the pages that maps must be of.
        folds: Training page -> the fold that it is judged in.
        kinds: Which maps are wanted.
        look: How the selected experiment's folds must have looked at the pages, as maps note it
            behind their detector; None takes any way.
        sizes: Page -> width and height of its upright image today, which each map is compared
            with when it is read; None compares nothing.

    Raises:
        ValueError: If a member's maps are of other pages, or of different detectors; member,
            kind and page are named.
        FileNotFoundError: If maps were never written; the message says which command makes them.
    """
    maps: dict[str, dict[str, LazyMaps]] = {kind: {} for kind in kinds}
    sources: dict[str, str] = {}
    for member in settings.voters:
        own = [page for page, fold in folds.items() if fold == member.fold]
        known = {**pages, "out_of_fold": own}
        found = {kind: find(member, kind) for kind in kinds}
        sources[str(member)] = _check_member(str(member), found, known)
        _compare_with_others(member, sources)
        if look is not None and not member.is_external:
            _check_look(str(member), sources[str(member)], look)
        for kind, one in found.items():
            maps[kind][str(member)] = _compared(str(member), one, sizes or {})
    return MemberMaps(maps, sources, {str(member): member.fold for member in settings.voters})


def weigh_members(
    settings: EnsembleSettings,
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    postprocess: PostprocessSettings,
) -> list[float]:
    """How much each member counts: a share of 1.

    Args:
        settings: ``weights``: equal, given, or by the page-mean H-mean out of fold.
        members: With their out-of-fold maps where these decide.
        truths: Training page -> its words, prepared; looked at where they decide.
        postprocess: To read the out-of-fold maps with.

    Raises:
        ValueError: If no member finds anything out of fold, so that all would weigh 0.
    """
    names = members.names
    if settings.weights == "equal":
        weights = np.ones(len(names))
    elif settings.weights == "out_of_fold":
        scores = [
            score_maps(members.maps["out_of_fold"][name], truths, postprocess) for name in names
        ]
        weights = np.array(
            [np.mean([page.hmean for page in pages.values()] or [0.0]) for pages in scores]
        )
        if not weights.sum() > 0.0:
            raise ValueError(
                "ensemble.weights is 'out_of_fold', but no member finds a word out of fold: "
                f"{', '.join(names)}; set it to equal"
            )
    else:
        weights = np.array(settings.weights, dtype=np.float64)
    return [float(weight) for weight in weights / weights.sum()]


def _compare_with_others(member: Member, sources: Mapping[str, str]) -> None:
    """A detector votes once, and the folds of an experiment have looked at pages in one way."""
    own = sources[str(member)]
    for name, source in sources.items():
        if name == str(member):
            continue
        other = Member.parse(name)
        if source == own and other.fold == member.fold:
            raise ValueError(
                f"ensemble.members: {name} and {member} are the same detector, which would "
                "vote twice"
            )
        looks = [_look_of(text) for text in (source, own)]
        if other.source == member.source and looks[0] != looks[1]:
            raise ValueError(
                f"{name} has looked at the pages in another way ({looks[0]}) than {member} "
                f"({looks[1]}); predict both again (--pipeline=predict_fold)"
            )


def _check_look(name: str, source: str, look: str) -> None:
    if source.partition("+")[2] != look:
        raise ValueError(
            f"{name} has looked at the pages in another way ({_look_of(source)}) than "
            f"test_time.variants says now ({look or PLAIN}); predict it again "
            "(--pipeline=predict_fold)"
        )


def _look_of(source: str) -> str:
    return source.partition("+")[2] or PLAIN


def _check_member(
    name: str, maps: Mapping[str, LazyMaps], pages: Mapping[str, Collection[str]]
) -> str:
    """Fingerprint of the member's detector, once its maps are seen to be of these pages."""
    for kind, own in maps.items():
        known = pages[kind]
        if differing := sorted(set(known) ^ set(own)):
            has = "has a" if differing[0] in own else "has no"
            raise ValueError(
                f"{name} {has} map of page {differing[0]!r} among its {kind} pages "
                f"({len(differing)} such pages): the data or the folds have changed; "
                f"{_again(name, own)}"
            )
    sources = {kind: own.source for kind, own in maps.items()}
    if len(set(sources.values())) > 1:
        raise ValueError(
            f"the maps of {name} are of different detectors, {sources}; "
            f"{_again(name, next(iter(maps.values())))}"
        )
    return next(iter(sources.values()))


def _compared(name: str, maps: LazyMaps, sizes: Mapping[str, tuple[int, int]]) -> LazyMaps:
    """The maps, each checked against its page when it is read."""
    again = _again(name, maps)
    return LazyMaps(
        {
            page: partial(_load_fitting, maps[page], name, page, sizes.get(page), again)
            for page in maps
        },
        maps.source,
    )


def _load_fitting(
    load: LoadMap, name: str, page: str, size: tuple[int, int] | None, again: str
) -> ProbabilityMap:
    page_map = load()
    fitting_frame(page_map, name, page)
    if size is not None and size != (page_map.width, page_map.height):
        raise ValueError(
            f"page {page!r}: the map of {name} is of an image of {page_map.width}x"
            f"{page_map.height} pixels, which has {size[0]}x{size[1]} today; {again}"
        )
    return page_map


def _again(name: str, maps: LazyMaps) -> str:
    command = getattr(maps, "made_by", "") or "--pipeline=train_fold"
    return f"train and predict {name} again ({command})"
