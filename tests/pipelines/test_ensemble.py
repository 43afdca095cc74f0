"""Tuning, ensemble and submission as Kedro runs them, on maps drawn by the test."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from receipt_ocr.contest.submission import identify_submission
from receipt_ocr.datasets.probability_maps import StoredMaps
from receipt_ocr.decoding.maps import LazyMaps, ProbabilityMap
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.pipelines import ensemble, submission, tuning
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import NoRecord, SubmissionMember, TunedPostprocess
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.storage.files import open_folder

WIDTH, HEIGHT = 240, 160
MAP_TO_PAGE = np.diag([2.0, 2.0, 1.0])
BARS = ((20, 20, 60, 32), (20, 50, 90, 62))  # left, top, right, bottom in map pixels
GRID = GridSettings(thresh=(0.2, 0.6), box_thresh=(0.3,), unclip_ratio=(1.0,))
RECIPE = Recipe(postprocess=PostprocessSettings(thresh=0.3, box_thresh=0.3, unclip_ratio=1.0))
ENSEMBLE, TUNED_ENSEMBLE = (ensemble, submission), (tuning, ensemble, submission)
ALL = range(FOLD_COUNT)
FOLDS = [f"fold_{fold}" for fold in ALL]
OUT_OF_FOLD = [[f"train_{fold}.jpg"] for fold in ALL]
HOLDOUT, TEST = ["val_0.jpg"], ["test_0.jpg", "test_1.jpg"]


class KeptDataset(MemoryDataset):
    """Stays in memory after its last reader, so that a test can look at it."""

    def _release(self) -> None:
        pass


def draw_map(levels: tuple[int, int], noise: int = 0) -> ProbabilityMap:
    """Two bars of these 8-bit levels on a page of twice the map's size."""
    values = np.zeros((HEIGHT // 2, WIDTH // 2), dtype=np.uint8)
    for (left, top, right, bottom), level in zip(BARS, levels, strict=True):
        values[top:bottom, left:right] = level
    values[70:78, 5:9] = noise
    return ProbabilityMap(values, MAP_TO_PAGE, WIDTH, HEIGHT)


def maps_of(
    names: list[str], levels: tuple[int, int] = (230, 200), source: str = "first", noise: int = 0
) -> LazyMaps:
    return LazyMaps({name: partial(draw_map, levels, noise) for name in names}, source)


def maps_of_fold(fold: int, *look: Any) -> dict[str, LazyMaps]:
    """Kind -> the maps of a fold's detector."""
    pages = {"out_of_fold": OUT_OF_FOLD[fold], "holdout": HOLDOUT, "test": TEST}
    return {kind: maps_of(names, *look) for kind, names in pages.items()}


class Others:
    """Other experiments: name -> levels of its detectors' maps."""

    def __init__(self, source: str = "other", **levels: tuple[int, int]) -> None:
        self.source, self.levels = source, levels

    def maps(self, experiment: str, fold: int, kind: str) -> LazyMaps:
        return maps_of_fold(fold, self.levels[experiment], self.source)[kind]

    def training_run(self, experiment: str, fold: int) -> str:
        return f"run of {experiment} {fold}"


def tuned_on(folds: Sequence[int], source: str = "first", **changes: Any) -> TunedPostprocess:
    return TunedPostprocess(
        postprocess=RECIPE.postprocess.model_copy(update={"thresh": 0.6} | changes),
        members=tuple(f"fold_{fold}" for fold in folds),
        sources={f"fold_{fold}": source for fold in folds},
        pages=len(folds),
        chosen_hmean=1.0,
        recipe_hmean=0.9,
    )


def make_tables(test_truth: bool = True) -> dict[str, pd.DataFrame]:
    """Every word is a bar, a little larger than its kernel."""
    pages = {name: "train" for (name,) in OUT_OF_FOLD}
    pages |= dict.fromkeys(HOLDOUT, "holdout") | dict.fromkeys(TEST, "test")
    rows = [
        (name, kind, WIDTH, HEIGHT, kind != "test" or test_truth) for name, kind in pages.items()
    ]
    corners = [(x1 - 3, y1 - 3, x2 + 3, y2 + 3) for x1, y1, x2, y2 in BARS]
    bars = [[2.0 * v for v in (x1, y1, x2, y1, x2, y2, x1, y2)] for x1, y1, x2, y2 in corners]
    words = [
        (name, kind, str(n), bar, False)
        for name, kind in pages.items()
        for n, bar in enumerate(bars)
    ]
    folds = [(name, fold, "train") for fold, (name,) in enumerate(OUT_OF_FOLD)]
    rejected = [
        ("test", "test_broken.jpg", "", "image_unreadable", "cut off"),
        ("test", "test_gone.jpg", "", "image_missing", "no such file"),
        ("test", "test_0.jpg", "7", "zero_area", "a line"),
        ("train", "train_broken.jpg", "", "image_unreadable", "cut off"),
    ]
    return {
        "pages": pd.DataFrame(rows, columns=["page", "subset", "width", "height", "has_truth"]),
        "words": pd.DataFrame(words, columns=["page", "subset", "word", "polygon", "ignored"]),
        "folds": pd.DataFrame(folds, columns=["page", "fold", "subset"]),
        "rejected": pd.DataFrame(rejected, columns=["subset", "page", "word", "reason", "detail"]),
    }


def make_catalog(
    members: Any = "all",
    *,
    maps: Mapping[str, Any] | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    tuned: TunedPostprocess | None = None,
    holdout: TunedPostprocess | None = None,
    others: Others | None = None,
    view: str = "none",
    **settings: Any,
) -> DataCatalog:
    """Every fold with its maps; ``maps`` replaces some of them."""
    views = {"none": TtaSettings(), "flips": TtaSettings(flips=("horizontal",))}
    entries: dict[str, Any] = {
        "params:ensemble": EnsembleSettings(members=members, **settings),
        "params:tuning": GRID,
        "params:test_time": TtaVariants(selected=view, variants=views),
        "params:experiments": Experiments(selected="tiny", recipe=RECIPE, variants={"tiny": {}}),
        "tuned_postprocess": tuned,
        "holdout_postprocess": holdout,
        "experiment_store": others or Others(),
        **(tables or make_tables()),
    }
    for fold in ALL:
        entries |= {f"fold_{fold}_{kind}_maps": own for kind, own in maps_of_fold(fold).items()}
    entries |= maps or {}
    return DataCatalog(
        {name: KeptDataset(value, copy_mode="assign") for name, value in entries.items()}
    )


def run_over(catalog: DataCatalog, stages: Sequence[Any] = ENSEMBLE) -> DataCatalog:
    """Run the stages; the catalog keeps all that they make."""
    pipeline = sum((stage.create_pipeline() for stage in stages), Pipeline([]))
    for name in pipeline.all_outputs() - set(catalog):
        catalog[name] = KeptDataset(copy_mode="assign")
    SequentialRunner().run(pipeline, catalog)
    return catalog


def run(*given: Any, stages: Sequence[Any] = ENSEMBLE, **more: Any) -> DataCatalog:
    return run_over(make_catalog(*given, **more), stages)


def read_second_bar(catalog: DataCatalog) -> int:
    """Level of the ensemble's first test map within the second bar."""
    left, top = BARS[1][:2]
    return int(catalog.load("ensemble_test_maps")["test_0.jpg"]().probability[top, left])


def test_all_members_go_from_maps_to_a_submission() -> None:
    catalog = run(stages=TUNED_ENSEMBLE)
    scores = catalog.load("scores").set_index(["subset", "member"])["hmean"]
    subsets = {"out_of_fold": FOLDS, "holdout": [*FOLDS, "ensemble"], "test": [*FOLDS, "ensemble"]}
    scored = [(subset, member) for subset, members in subsets.items() for member in members]
    assert scores.to_dict() == dict.fromkeys(scored, 1.0)
    assert len(catalog.load("page_scores")) == 5 + 6 * 1 + 6 * 2
    table = catalog.load("submission_csv").set_index("filename")["polygons"]
    polygons = {page: len([one for one in text.split("|") if one]) for page, text in table.items()}
    # Pages that could not be read keep their row.
    expected = {"test_0.jpg": 2, "test_1.jpg": 2, "test_broken.jpg": 0, "test_gone.jpg": 0}
    assert polygons == expected
    assert catalog.load("submission_json")["images"].keys() == expected.keys()
    words = catalog.load("word_outcomes")
    assert set(words["outcome"]) == {"found"}
    by_member = words.groupby(["subset", "member"]).size()
    ensembles = {("holdout", "ensemble"): 2, ("test", "ensemble"): 4}
    assert by_member.to_dict() == {("out_of_fold", fold): 2 for fold in FOLDS} | ensembles


def test_the_worst_pages_are_kept_with_what_was_found_on_them() -> None:
    # Fold 3 sees one bar of two, the others both.
    catalog = run(maps={"fold_3_out_of_fold_maps": maps_of(OUT_OF_FOLD[3], (230, 0))})
    worst = catalog.load("worst_detections")
    assert list(worst) == ["out_of_fold", "holdout", "test"]
    assert set(worst["out_of_fold"]) == {f"train_{fold}.jpg" for fold in ALL}
    first, *others = worst["out_of_fold"].items()
    assert (first[0], len(first[1])) == ("train_3.jpg", 1)
    assert {len(found) for _, found in others} == {2}
    words = catalog.load("word_outcomes").set_index("page")
    assert words.loc["train_3.jpg", "outcome"].tolist() == ["found", "missed"]


def test_the_worst_pages_out_of_fold_are_those_of_own_folds() -> None:
    # The external members are blind, on the page that fold 0 knows and on one that it does not.
    others = Others(wide=(0, 0))
    catalog = run(("0", "wide/0", "wide/1"), others=others, weights=(1.0, 0.0, 0.0))
    worst = catalog.load("worst_detections")
    assert {page: len(found) for page, found in worst["out_of_fold"].items()} == {"train_0.jpg": 2}
    assert set(worst["holdout"]) == {"val_0.jpg"}
    scores = catalog.load("page_scores").set_index(["member", "page"])["hmean"]
    assert scores["wide/fold_0", "train_0.jpg"] == scores["wide/fold_1", "train_1.jpg"] == 0.0


def test_a_submission_is_kept_under_its_id_with_who_made_it() -> None:
    others = Others(wide=(230, 200))
    catalog = run(("0", "wide/1"), others=others, weights=(3.0, 1.0))
    ((submission, record),) = catalog.load("submission_records").items()
    copies = catalog.load("submissions")
    assert list(copies) == [f"submission_{submission}"]
    table = catalog.load("submission_csv")
    pd.testing.assert_frame_equal(copies[f"submission_{submission}"], table)
    assert submission == identify_submission(table)
    common = {"validation_hmean": 1.0, "holdout_hmean": 1.0}
    assert record.members == (
        SubmissionMember(name="fold_0", experiment="tiny", fold=0, weight=0.75,
                         run_id="run of tiny 0", **common),
        SubmissionMember(name="wide/fold_1", experiment="wide", fold=1, weight=0.25,
                         run_id="run of wide 1", **common),
    )  # fmt: skip
    chosen = catalog.load("chosen_postprocess")
    assert (record.submission, record.experiment) == (submission, "tiny")
    assert (record.thresholds, record.postprocess) == ("recipe", chosen.postprocess)
    assert (record.validation_hmean, record.holdout_hmean, record.test_hmean) == (1.0, 1.0, 1.0)


def test_the_ensemble_averages_its_members_only() -> None:
    # Fold 2 sees nothing on the test pages, fold 4 sees both bars: together the mean of both.
    blank = {"fold_2_test_maps": maps_of(TEST, (0, 0))}
    catalog = run((4, 2), maps=blank, weights=(3.0, 1.0))
    assert read_second_bar(catalog) == 150  # (3 * 200 + 1 * 0) / 4
    scores = catalog.load("scores").set_index(["subset", "member"])["hmean"]
    assert scores["test"].to_dict() == {"fold_4": 1.0, "fold_2": 0.0, "ensemble": 1.0}


def test_one_member_needs_nothing_of_the_others() -> None:
    missing = {
        f"fold_{fold}_{kind}_maps": StoredMaps(open_folder("nowhere"), "train it")
        for fold in ALL[1:]
        for kind in ("out_of_fold", "holdout", "test")
    }
    catalog = run(0, maps=missing, stages=TUNED_ENSEMBLE)
    assert set(catalog.load("page_scores")["member"]) == {"fold_0", "ensemble"}
    assert catalog.load("tuned_postprocess").members == ("fold_0",)


WRONG_MAPS = {
    "of fewer pages": (
        {"fold_0_test_maps": maps_of(["test_0.jpg"])},
        r"fold_0 has no map of page 'test_1.jpg' .*\(1 such",
    ),
    "of an earlier split": (
        {"fold_1_out_of_fold_maps": maps_of(["train_1.jpg", "train_2.jpg"])},
        "fold_1 has a map of page 'train_2.jpg'",
    ),
    "of two detectors": (
        {"fold_1_holdout_maps": maps_of(["val_0.jpg"], source="second")},
        "maps of fold_1 are of different detectors",
    ),
    "under two TTA views": (
        {
            f"fold_2_{kind}_maps": maps
            for kind, maps in maps_of_fold(2, (230, 200), "first+vertical,x1").items()
        },
        r"\(plain\) than fold_2 \(vertical,x1\)",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_MAPS)
def test_maps_that_do_not_fit_are_refused(wrong: str) -> None:
    maps, message = WRONG_MAPS[wrong]
    catalog = make_catalog(maps=maps)
    with pytest.raises(ValueError, match=message):
        run_over(catalog)
    assert not catalog.exists("chosen_postprocess")
    if "fold_0_test_maps" not in maps:  # tuning reads no test maps
        with pytest.raises(ValueError, match=message):
            run(maps=maps, stages=[tuning])


def test_maps_of_an_image_that_has_changed_are_refused() -> None:
    tables = make_tables()
    tables["pages"].loc[tables["pages"]["page"] == "train_2.jpg", "width"] = WIDTH + 2
    message = "'train_2.jpg': the map of fold_2 is of an image of 240x160 pixels, .*242x160 today"
    with pytest.raises(ValueError, match=message):
        run(tables=tables)


def test_a_withheld_truth_leaves_the_test_pages_unscored_but_detected() -> None:
    tables = make_tables(test_truth=False)
    tables["words"] = tables["words"][tables["words"]["subset"] != "test"]
    catalog = run(tables=tables)
    assert set(catalog.load("scores")["subset"]) == {"out_of_fold", "holdout"}
    assert catalog.load("page_scores")["hmean"].dtype == np.float64
    assert len(catalog.load("test_detections")["test_0.jpg"]) == 2


def test_data_without_a_holdout_has_no_holdout_scores() -> None:
    tables = make_tables()
    tables = {name: table[table["subset"] != "holdout"] for name, table in tables.items()}
    none = {f"fold_{fold}_holdout_maps": maps_of([]) for fold in ALL}
    catalog = run(maps=none, tables=tables, stages=TUNED_ENSEMBLE)
    assert set(catalog.load("scores")["subset"]) == {"out_of_fold", "test"}
    assert catalog.load("holdout_postprocess") == NoRecord()


class TestOtherExperiments:
    def test_members_of_another_experiment_vote_and_are_named_after_it(self) -> None:
        others = Others(wide=(90, 0))
        catalog = run(("0", "wide/0"), others=others, weights=(3.0, 1.0), stages=TUNED_ENSEMBLE)
        names = ["fold_0", "wide/fold_0"]
        chosen = catalog.load("chosen_postprocess").members
        assert (chosen.names, chosen.weights) == (tuple(names), (0.75, 0.25))
        assert chosen.sources == {"fold_0": "first", "wide/fold_0": "other"}
        assert read_second_bar(catalog) == 150  # (3 * 200 + 1 * 0) / 4
        assert set(catalog.load("page_scores")["member"]) == {*names, "ensemble"}
        # Both know this page out of fold: their mean was searched, on one page.
        tuned = catalog.load("tuned_postprocess")
        assert (tuned.members, tuned.pages) == (tuple(names), 1)

    def test_its_maps_are_checked_too(self) -> None:
        tables = make_tables()
        tables["pages"] = tables["pages"][tables["pages"]["page"] != "test_1.jpg"]
        with pytest.raises(ValueError, match=r"wide/fold_1 has a map of page 'test_1.jpg'"):
            run("wide/1", others=Others(wide=(90, 0)), tables=tables)

    def test_a_detector_votes_once(self) -> None:
        twice = Others(source="first", tiny=(90, 0))
        with pytest.raises(ValueError, match="fold_1 and tiny/fold_1 are the same detector"):
            run(("all", "tiny/1"), others=twice)

    def test_maps_under_another_tta_view_than_todays_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"fold_0 .*\(plain\) than .*\(horizontal,x1\)"):
            run(view="flips")

    def test_who_does_not_count_is_not_searched_on(self) -> None:
        others = Others(wide=(0, 0))
        catalog = run(("0", "wide/0"), others=others, weights=(1.0, 0.0), stages=TUNED_ENSEMBLE)
        assert catalog.load("tuned_postprocess").chosen_hmean == 1.0
        catalog = run((0, 1), weights=(1.0, 0.0), stages=TUNED_ENSEMBLE)  # nor its pages
        assert catalog.load("tuned_postprocess").pages == 1

    def test_weights_may_follow_from_the_out_of_fold_score(self) -> None:
        blind = {f"fold_{k}_out_of_fold_maps": maps_of(OUT_OF_FOLD[k], (0, 0)) for k in ALL}
        key = "fold_3_out_of_fold_maps"
        catalog = run(maps={key: blind[key]}, weights="out_of_fold")
        assert catalog.load("member_weights") == [0.25, 0.25, 0.25, 0.0, 0.25]
        with pytest.raises(ValueError, match="'out_of_fold', but no member finds a word"):
            run(maps=blind, weights="out_of_fold")

    def test_logits_are_averaged_where_that_is_asked(self) -> None:
        certain = {"fold_2_test_maps": maps_of(TEST, (255, 255))}
        assert read_second_bar(run((4, 2), maps=certain, mean="probability")) == 228  # (200+255)/2
        # Who is certain counts more.
        assert read_second_bar(run((4, 2), maps=certain, mean="logit")) > 245


class TestThresholds:
    def test_tuning_finds_the_threshold_that_drops_the_smear(self) -> None:
        # At 0.2 a smear of level 120 (0.47) counts as a word, at 0.6 both bars still do.
        smeared = {
            f"fold_{fold}_out_of_fold_maps": maps_of(OUT_OF_FOLD[fold], noise=120) for fold in ALL
        }
        catalog = run(maps=smeared, thresholds="tuned", stages=TUNED_ENSEMBLE)
        tuned = catalog.load("tuned_postprocess")
        assert tuned.postprocess.thresh == 0.6
        assert (tuned.chosen_hmean, tuned.cross_fitted_hmean) == (1.0, 1.0)
        assert tuned.recipe_hmean < 1.0
        assert tuned.pages == FOLD_COUNT
        assert len(catalog.load("tuning_table")) == 2
        chosen = catalog.load("chosen_postprocess")
        assert (chosen.source, chosen.postprocess) == ("tuned", tuned.postprocess)
        assert chosen.names == tuple(FOLDS)
        # The same holds of the holdout, where both searches agree.
        found = catalog.load("holdout_postprocess")
        assert found.pages == 1
        assert found.chosen_hmean == found.transferred_hmean == 1.0
        untuned = catalog.load("untuned_page_scores")
        assert set(untuned["subset"]) == {"out_of_fold", "holdout", "test"}
        assert untuned[untuned["subset"] == "out_of_fold"]["hmean"].max() < 1.0

    def test_the_ensemble_may_be_read_at_what_its_holdout_maps_say(self) -> None:
        smeared = {f"{fold}_holdout_maps": maps_of(HOLDOUT, noise=120) for fold in FOLDS}
        catalog = run(maps=smeared, thresholds="holdout", stages=TUNED_ENSEMBLE)
        assert catalog.load("tuned_postprocess").postprocess.thresh == 0.2
        found = catalog.load("holdout_postprocess")
        assert found.postprocess.thresh == 0.6
        assert found.transferred_hmean < found.chosen_hmean == 1.0
        chosen = catalog.load("chosen_postprocess")
        assert (chosen.source, chosen.postprocess.thresh) == ("holdout", 0.6)
        nothing = "tuned on a holdout, but nothing is tuned yet, or the data has no holdout"
        with pytest.raises(ValueError, match=nothing):
            run(thresholds="holdout")
        # What was found on one mean does not hold for another.
        for other in ({"members": (0, 1)}, {"mean": "logit"}):
            with pytest.raises(ValueError, match=r"(averaged then|probability then).*; run"):
                run(thresholds="holdout", holdout=found, **other)

    @pytest.mark.parametrize(("thresholds", "source"), [("recipe", "recipe"), ("auto", "tuned")])
    def test_the_recipe_can_be_insisted_on(self, thresholds: str, source: str) -> None:
        catalog = run(tuned=tuned_on(ALL), thresholds=thresholds)
        chosen = catalog.load("chosen_postprocess")
        assert chosen.source == source
        assert chosen.postprocess.thresh == (0.3 if source == "recipe" else 0.6)

    def test_thresholds_tuned_on_other_folds_are_used_with_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        run(0, tuned=tuned_on([0, 1]))
        assert "tuned on fold_0, fold_1, the ensemble is of fold_0: run tuning again" in caplog.text

    @pytest.mark.parametrize(
        ("tuned", "reason"),
        [
            (None, "nothing is tuned yet"),
            (tuned_on(ALL, source="zeroth"), "fold_0 has been trained anew since"),
            (tuned_on([1, 2]), "fold_1, fold_2 were tuned, not fold_0"),
            (tuned_on(ALL, shape="box"), "shape was box then, the recipe has polygon now"),
        ],
    )
    def test_stale_thresholds_are_not_used(
        self, tuned: TunedPostprocess | None, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        catalog = run(0, tuned=tuned)
        assert catalog.load("chosen_postprocess").source == "recipe"
        assert re.search(reason, caplog.text)
        with pytest.raises(ValueError, match=f"{reason}; run --pipeline=tuning first"):
            run(0, tuned=tuned, thresholds="tuned")


def test_detections_of_former_test_pages_make_no_submission() -> None:
    unread = {"chosen_postprocess": None, "scores": None}
    former = {"test_detections": {"test_0.jpg": []}, **unread}
    with pytest.raises(ValueError, match=r"'test_1.jpg' is only in one .*run the ensemble again"):
        run(maps=former, stages=[submission])
