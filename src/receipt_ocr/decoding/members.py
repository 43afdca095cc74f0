"""The members of an ensemble with their stored maps, checked before anything is averaged."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from receipt_ocr.decoding.decode import score_maps
from receipt_ocr.decoding.frames import fitting_frame
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, MapSource, MemberMaps, ProbabilityMap
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.identity import Member

KINDS = ("out_of_fold", "holdout", "test")
"""Sets of pages that a fold's detector predicts maps of."""

FindMaps = Callable[[Member, str], LazyMaps]
"""Member and kind -> its maps."""


@dataclass(frozen=True)
class PagesToday:
    """The pages that members' maps must be of."""

    names: Mapping[str, Collection[str]]
    """``holdout`` and ``test`` -> names of the pages."""
    fold_of: Mapping[str, int]
    """Training page -> the fold that it is held out in."""
    sizes: Mapping[str, tuple[int, int]]
    """Page -> width and height of its upright image, which each map is compared with when read."""

    def of(self, kind: str, fold: int) -> Collection[str]:
        """Names of the pages that a fold's maps of a kind must be of."""
        if kind == "out_of_fold":
            return [page for page, own in self.fold_of.items() if own == fold]
        return self.names[kind]


def gather(
    settings: EnsembleSettings,
    find: FindMaps,
    today: PagesToday,
    kinds: Collection[str] = KINDS,
    view: str | None = None,
) -> MemberMaps:
    """Find the maps of all members and check that they are of today's pages.

    Args:
        settings: Who votes.
        find: Gives a member's maps of a kind; they may turn out not to exist when looked at.
        today: The pages that maps must be of.
        kinds: Which maps are wanted.
        view: TTA view of the selected experiment's maps; empty for the plain one, None for any.

    Raises:
        ValueError: If a member's maps are of other pages, or of different detectors; member,
            kind and page are named.
        FileNotFoundError: If maps were never written; the message says which command makes them.
    """
    maps: dict[str, dict[str, LazyMaps]] = {kind: {} for kind in kinds}
    sources: dict[str, str] = {}
    for member in settings.voters:
        name = str(member)
        found = {kind: find(member, kind) for kind in kinds}
        _check_pages(member, found, today)
        sources[name] = _find_source(name, found)
        _compare_members(member, sources)
        if view is not None and not member.is_external:
            _check_view(name, sources[name], view)
        for kind, own in found.items():
            maps[kind][name] = _check_when_read(name, own, today.sizes)
    return MemberMaps(maps, sources, {str(member): member.fold for member in settings.voters})


def weigh(
    settings: EnsembleSettings,
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    postprocess: PostprocessSettings,
) -> list[float]:
    """Weigh each member by a share of 1.

    Args:
        settings: ``weights``: equal, given, or by the page-mean H-mean out of fold.
        members: With their out-of-fold maps where these decide.
        truths: Training page -> its words, prepared; read only where out-of-fold maps decide.
        postprocess: Settings to read the out-of-fold maps with.

    Raises:
        ValueError: If no member finds anything out of fold, so that all would weigh 0.
    """
    if settings.weights == "equal":
        weights = np.ones(len(members.names))
    elif settings.weights == "out_of_fold":
        scores = [
            score_maps(members.maps["out_of_fold"][name], truths, postprocess)
            for name in members.names
        ]
        weights = np.array(
            [np.mean([page.hmean for page in pages.values()] or [0.0]) for pages in scores]
        )
        if not weights.sum() > 0.0:
            raise ValueError(
                "ensemble.weights is 'out_of_fold', but no member finds a word out of fold: "
                f"{', '.join(members.names)}; set it to equal"
            )
    else:
        weights = np.array(settings.weights, dtype=np.float64)
    return [float(weight) for weight in weights / weights.sum()]


def _check_pages(member: Member, maps: Mapping[str, LazyMaps], today: PagesToday) -> None:
    for kind, own in maps.items():
        if differing := sorted(set(today.of(kind, member.fold)) ^ set(own)):
            has = "has a" if differing[0] in own else "has no"
            raise ValueError(
                f"{member} {has} map of page {differing[0]!r} among its {kind} pages "
                f"({len(differing)} such pages): the data or the folds have changed; "
                f"{_again(str(member), own)}"
            )


def _find_source(name: str, maps: Mapping[str, LazyMaps]) -> str:
    """The source that a member's maps of all kinds have in common."""
    sources = {kind: own.source for kind, own in maps.items()}
    if len(set(sources.values())) > 1:
        raise ValueError(
            f"the maps of {name} are of different detectors, {sources}; "
            f"{_again(name, next(iter(maps.values())))}"
        )
    return next(iter(sources.values()))


def _compare_members(member: Member, sources: Mapping[str, str]) -> None:
    """Reject duplicate detectors, and mixed TTA views within an experiment."""
    own = sources[str(member)]
    view = MapSource.parse(own).view_name
    for name, source in sources.items():
        other = Member.parse(name)
        if other == member:
            continue
        if source == own and other.fold == member.fold:
            raise ValueError(
                f"ensemble.members: {name} and {member} are the same detector, which would "
                "vote twice"
            )
        other_view = MapSource.parse(source).view_name
        if other.source == member.source and other_view != view:
            raise ValueError(
                f"the maps of {name} are of another TTA view ({other_view}) than {member} "
                f"({view}); predict both again (--pipeline=predict_fold)"
            )


def _check_view(name: str, source: str, view: str) -> None:
    own, wanted = MapSource.parse(source), MapSource("", view)
    if own.tta_view != view:
        raise ValueError(
            f"the maps of {name} are of another TTA view ({own.view_name}) than "
            f"test_time.variants says now ({wanted.view_name}); predict it again "
            "(--pipeline=predict_fold)"
        )


def _check_when_read(name: str, maps: LazyMaps, sizes: Mapping[str, tuple[int, int]]) -> LazyMaps:
    """The maps, each checked against its page when it is read."""
    again = _again(name, maps)
    loaders = {
        page: partial(_load_fitting, maps[page], name, page, sizes.get(page), again)
        for page in maps
    }
    return LazyMaps(loaders, maps.source)


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
    command = maps.made_by or "--pipeline=train_fold"
    return f"train and predict {name} again ({command})"
