"""Three small experiments of five folds, recorded as the stages leave them on disk.

Pages hold a few rectangles as words, detections are these with errors drawn by a seed for each
experiment, member and page. Scores, word outcomes, submissions and leaderboard records are made
from them by the project's own code, histories and trainings are fixed tables, and every entry
names a run that exists in MLflow. One experiment has two submissions more: an earlier one with
other thresholds, and one of a final fit. Files lie where the project's catalog puts them.
"""

import json
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from mlflow.tracking import MlflowClient
from PIL import Image

from receipt_ocr.analysis.scores import prepare_truths, tabulate_pages, tabulate_scores
from receipt_ocr.analysis.word_errors import choose_worst, tabulate_words
from receipt_ocr.contest.leaderboard import score_record
from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.evaluation.cleval import PageScore, TruthWords, score_prepared
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.identity import ExperimentId
from receipt_ocr.pipelines.submission.nodes import (
    format_submission,
    register_final,
    register_submission,
)
from receipt_ocr.report.settings import ReportSettings
from receipt_ocr.settings import CONFIG_LOADER_ARGS

FOLDS = range(5)
WIDTH, HEIGHT = 240, 230
OUT_OF_FOLD, HOLDOUT, TEST = "out_of_fold", "holdout", "test"
ERRORS = {"small": 0.4, "wide": 0.15, "deep": 0.16, "wide@flip": 0.13}
"""Experiment -> how likely a word of it goes wrong; ``wide@flip`` looks at the pages twice."""
MINE = "wide"
SMALL = 11.0
"""Height in pixels below which a word is lost more often."""
TOLD: dict[str, dict[str, Any]] = {
    "small": {"hmean": 0.31, "precision": 0.34, "recall": 0.4},
    "wide": {"hmean": 0.9, "precision": 0.91, "recall": 0.9},
    "deep": {"hmean": 0.9017},  # a leaderboard may show one number only
}
"""Experiment -> what the leaderboard said of its submission."""
EARLIER = {"hmean": 0.85, "precision": 0.86, "recall": 0.87}
"""What it said of an earlier submission of :data:`MINE`, with other thresholds."""
FINAL = {"hmean": 0.97}
"""What it said of a final fit of :data:`MINE`: more than of any ensemble."""

CURVES = (
    (0.31, 0.74, 0.81, 0.872, 0.886),  # still rising
    (0.28, 0.71, 0.83, 0.879, 0.868),  # past its peak
    (0.35, 0.72, 0.84, 0.8703, 0.8701),  # level
    (0.3, 0.75, 0.82, 0.811),  # stopped early
    (0.33, 0.7, 0.8, 0.875, 0.8752),  # level
)
"""Fold -> H-mean by epoch."""

RECIPE = Recipe()
CHANGES: dict[str, dict[str, Any]] = {
    "small": {"frame": {"sizes": [{"epoch": 0, "size": 320}]}, "training": {"batch_size": 2}},
    "wide": {},
    "deep": {"network": {"encoder": "resnet50"}},
}
"""Experiment -> what it has otherwise than the recipe."""
SETTINGS: dict[str, Any] = {
    "experiments": Experiments(
        selected=MINE,
        recipe=RECIPE,
        variants=CHANGES,
    ),
    "ensemble": EnsembleSettings(members="all"),
    "report": ReportSettings(),
    "dataset": "drawn receipts",
}
LOOKS = {"none": TtaSettings(), "flip": TtaSettings(flips=("horizontal",))}
TUNED = PostprocessSettings(thresh=0.36, box_thresh=0.4).model_dump(mode="json")
ON_HOLDOUT = PostprocessSettings(thresh=0.33).model_dump(mode="json")
SAVED = "2026-01-02T03:04:05Z"
"""When every entry was written."""
CONF = Path(__file__).resolve().parents[2] / "conf"


@cache
def read_config() -> str:
    """The project's catalog as JSON, over ``WORKSPACE`` and of the experiment ``NAME@LOOK``."""
    params = {"experiment": "NAME", "tta": "LOOK", "raw_folder": "WORKSPACE/raw"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECEIPT_OCR_WORKSPACE", "WORKSPACE")
        loader = OmegaConfigLoader(str(CONF), runtime_params=params, **CONFIG_LOADER_ARGS)
        return json.dumps(loader["catalog"])


def open_entries(workspace: Path, experiment: ExperimentId) -> DataCatalog:
    """The project's catalog over a workspace, with an experiment selected."""
    config = read_config().replace("NAME@LOOK", str(experiment))
    config = config.replace("NAME", experiment.experiment)
    return DataCatalog.from_config(json.loads(config.replace("WORKSPACE", str(workspace))))


def open_catalog(workspace: Path, experiment: str = MINE, **settings: Any) -> DataCatalog:
    """The project's catalog over a workspace, with the parameters that a report reads."""
    name, _, tta = experiment.partition("@")
    catalog = open_entries(workspace, ExperimentId.parse(experiment))
    store = ExperimentStore(partial(open_entries, workspace))
    catalog["experiment_store"] = MemoryDataset(store, copy_mode="assign")
    values = SETTINGS | settings
    values["experiments"] = values["experiments"].model_copy(update={"selected": name})
    values["test_time"] = TtaVariants(selected=tta or "none", variants=LOOKS)
    for key, value in values.items():
        catalog[f"params:{key}"] = MemoryDataset(value, copy_mode="assign")
    return catalog


# ---- pages ---------------------------------------------------------------------------------------


def name_pages() -> list[tuple[str, str]]:
    """Page and subset: four train pages a fold, four holdout pages, six test pages."""
    names = [(f"train_{fold}_{i}.png", "train") for fold in FOLDS for i in range(4)]
    names += [(f"val_{i}.png", HOLDOUT) for i in range(4)]
    return names + [(f"test_{i}.png", TEST) for i in range(6)]


def draw_words(page: str) -> list[list[Polygon]]:
    """Rows of one or two words, of differing height, length and tilt."""
    rng, rows = np.random.default_rng(crc32(page.encode())), []
    for row in range(int(rng.integers(4, 8))):
        height, letters = float(rng.uniform(7.0, 20.0)), int(rng.integers(2, 9))
        width, top = 0.6 * height * letters + 4, 8.0 + 30 * row
        if row % 2:
            rows.append([_box(10, top, 40, height), _box(54, top, 36, height)])
        else:
            tilt = float(rng.choice([0.0, 0.0, 2.0, 5.0, 12.0]))
            rows.append([_turn(_box(12, top, width, height), tilt)])
    return rows


def _box(left: float, top: float, width: float, height: float) -> Polygon:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _turn(polygon: Polygon, degrees: float) -> Polygon:
    angle, centre = np.radians(degrees), polygon.mean(axis=0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (polygon - centre) @ turn + centre


def find_words(seed: str, page: str, share: float) -> list[Polygon]:
    """The words of a page as a detector might find them: some lost, cut, joined, some false."""
    rng, found = np.random.default_rng(crc32(f"{seed}/{page}".encode())), []
    for row in draw_words(page):
        if len(row) == 2 and rng.random() < share:
            found.append(_box(*row[0][0], *(row[1][2] - row[0][0])))
            continue
        for word in row:
            is_small = np.linalg.norm(word[3] - word[0]) < SMALL
            lost, fate = (3 * share if is_small else 0.3 * share), rng.random()
            if fate < lost:
                continue
            middle = word[:2].mean(axis=0), word[2:].mean(axis=0)
            if fate < lost + 0.3 * share:
                found += [np.array([word[0], middle[0], middle[1], word[3]]),
                          np.array([middle[0], word[1], word[2], middle[1]])]  # fmt: skip
                continue
            found.append(word + rng.normal(0, 0.8, size=2))
    if rng.random() < 2 * share:
        found.append(_box(150, float(rng.integers(5, 200)), 50, 12))
    return found


@cache
def make_tables() -> dict[str, pd.DataFrame]:
    """Pages, words and what was rejected, as ingestion leaves them."""
    pages, words = [], []
    for page, subset in name_pages():
        own = [polygon for row in draw_words(page) for polygon in row]
        path = f"images/{'val' if subset == HOLDOUT else subset}/{page}"
        pages.append((page, subset, path, WIDTH, HEIGHT, len(own), True))
        words += [(page, subset, f"{i:04d}", w.ravel().tolist(), False) for i, w in enumerate(own)]
    rejected = [("train", "gone.png", "", "image_missing", ""),
                ("train", "train_0_0.png", "0009", "zero_area", "a line"),
                ("test", "test_1.png", "0011", "zero_area", "a line")]  # fmt: skip
    columns = ["page", "subset", "path", "width", "height", "word_count", "has_truth"]
    return {
        "pages": pd.DataFrame(pages, columns=columns),
        "words": pd.DataFrame(words, columns=["page", "subset", "word", "polygon", "ignored"]),
        "rejected": pd.DataFrame(rejected, columns=["subset", "page", "word", "reason", "detail"]),
    }


@cache
def prepare(subset: str) -> dict[str, TruthWords]:
    """Page -> its words."""
    tables = make_tables()
    return prepare_truths(tables["pages"], tables["words"], subset)


# ---- what the stages leave -----------------------------------------------------------------------

Judged = dict[str, tuple[list[Polygon], PageScore]]


def judge(experiment: str, member: str, subset: str, worse: float = 1.0) -> Judged:
    """Page -> what a member found on it, and the score."""
    share = worse * ERRORS[experiment] * (0.8 if member == "ensemble" else 1.0)
    truths = prepare("train" if subset == OUT_OF_FOLD else subset)
    number = member.removeprefix("fold_")
    own = [p for p in truths if subset != OUT_OF_FOLD or p.startswith(f"train_{number}_")]
    found = {page: find_words(f"{experiment}/{member}/{worse}", page, share) for page in own}
    return {page: (words, score_prepared(truths[page], words)) for page, words in found.items()}


def score(experiment: str, worse: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a member, subset and page, and a row a word, as the ensemble stage gives them."""
    folds, pages, words = [f"fold_{fold}" for fold in FOLDS], [], []
    for subset in (OUT_OF_FOLD, HOLDOUT, TEST):
        truths = prepare("train" if subset == OUT_OF_FOLD else subset)
        for member in folds if subset == OUT_OF_FOLD else [*folds, "ensemble"]:
            judged = judge(experiment, member, subset, worse)
            pages.append(tabulate_pages(member, subset, {p: s for p, (_, s) in judged.items()}))
            if subset == OUT_OF_FOLD or member == "ensemble":
                words.append(tabulate_words(member, subset, judged, truths))
    return pd.concat(pages, ignore_index=True), pd.concat(words, ignore_index=True)


def make_history(experiment: str, fold: int) -> pd.DataFrame:
    """The epochs of a fold."""
    hmean = np.array(CURVES[fold]) - 0.001 * list(ERRORS).index(experiment)
    epoch = np.arange(len(hmean), dtype=float)
    return pd.DataFrame(
        {"epoch": epoch, "loss": 6.0 / (1 + epoch), "size": np.where(epoch < 2, 640.0, 960.0),
         "precision": hmean + 0.01, "recall": hmean - 0.01, "hmean": hmean, "seconds": 61.5}
    )  # fmt: skip


def make_training(experiment: str, fold: int) -> dict[str, Any]:
    """The record of a fold's training."""
    history, scale = make_history(experiment, fold), 1 + list(ERRORS).index(experiment)
    best = history.loc[history["hmean"].idxmax()]
    return {
        "best_epoch": int(best["epoch"]),
        **{name: float(best[name]) for name in ("precision", "recall", "hmean")},
        "epochs": len(history),
        "seconds": float(history["seconds"].sum()),
        "stopped_by": "patience of 1 epochs" if fold == 3 else "5 epochs",
        "parameters": {"encoder": 3_141_000 * scale, "decoder": 271_800, "head": 57_000 + fold},
        "checkpoint_bytes": 14_000_000 * scale + 1000 * fold,
        **({"inference_seconds_per_page": 0.1 + fold / 50} if experiment == MINE else {}),
    }


def make_search() -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """What tuning found out of fold and on the holdout, and the points that were tried."""
    sides = {
        "thresh": {"lowest": 0.3, "highest": 0.36, "is_open_below": False, "is_open_above": True,
                   "hmean": 0.8123},
        "box_thresh": {"lowest": 0.2, "highest": 0.46, "is_open_below": True,
                       "is_open_above": False, "hmean": 0.8123},
    }  # fmt: skip
    members = [f"fold_{fold}" for fold in FOLDS]
    tuned = {
        "postprocess": TUNED, "members": members, "sources": dict.fromkeys(members, "0123"),
        "pages": 20, "chosen_hmean": 0.8123,
        "cross_fitted_hmean": 0.8077, "recipe_hmean": 0.7911, "grid_hmean": 0.8101,
        "sensitivity": sides,
    }  # fmt: skip
    holdout = {
        "postprocess": ON_HOLDOUT, "members": members, "sources": dict.fromkeys(members, "0123"),
        "pages": 4, "chosen_hmean": 0.8456,
        "cross_fitted_hmean": None, "recipe_hmean": 0.8333, "transferred_hmean": 0.8402,
    }  # fmt: skip
    columns = ["unclip_ratio", "max_candidates", "min_size"]
    points = [
        {"thresh": thresh, "box_thresh": box, **{key: TUNED[key] for key in columns},
         "recall": 0.8, "precision": 0.82, "hmean": 0.81 - abs(thresh - 0.36) - abs(box - 0.4)}
        for thresh in (0.2, 0.29, 0.36) for box in (0.25, 0.4, 0.5)
    ]  # fmt: skip
    return tuned, holdout, pd.DataFrame(points)


def record_all(workspace: Path, database: str) -> None:
    """Write all experiments into a workspace, and their runs into an MLflow database."""
    for page, subset in name_pages():
        folder = workspace / "raw/images" / ("val" if subset == HOLDOUT else subset)
        folder.mkdir(parents=True, exist_ok=True)
        if subset != HOLDOUT:
            Image.new("RGB", (WIDTH, HEIGHT), "white").save(folder / page)
    (workspace / "raw/jsons").mkdir()
    for name in ("train", "val", "test"):
        (workspace / f"raw/jsons/{name}.json").write_text("{}", encoding="utf-8")
    catalog = open_catalog(workspace)
    for name, table in make_tables().items():
        catalog.save(name, table)
    client = MlflowClient(database)
    place = client.create_experiment("drawn receipts")
    for experiment in ERRORS:
        catalog = open_catalog(workspace, experiment)
        for pipeline, entries in _write(catalog, experiment):
            run = client.create_run(place, run_name=f"{experiment} {pipeline}").info.run_id
            written = {entry: _sign(run, pipeline.partition(" ")[0]) for entry in entries}
            is_training = pipeline.startswith("train_fold")
            catalog.save("training_run_records" if is_training else "run_records", written)
        if experiment in TOLD or "@" in experiment:
            _submit(catalog, experiment)
        if experiment == MINE:
            _submit_more(catalog)
    run = client.create_run(place, run_name="all ingestion").info.run_id
    shared = [*make_tables(), "submission_records", "leaderboard_records"]
    catalog.save("shared_run_records", {entry: _sign(run, "ingestion") for entry in shared})


def _sign(run: str, pipeline: str) -> dict[str, str]:
    """The record of which run wrote an entry."""
    commit = f"{crc32(run.encode()):08x}".ljust(40, "0")
    return {"run_id": run, "pipeline": pipeline, "commit": commit, "saved": SAVED}


def _write(catalog: DataCatalog, experiment: str) -> Iterator[tuple[str, list[str]]]:
    """Save what the stages save; pipeline -> the entries that it wrote."""
    for fold in () if "@" in experiment else FOLDS:
        catalog.save(f"fold_{fold}_history", make_history(experiment, fold))
        catalog.save(f"fold_{fold}_training_record", make_training(experiment, fold))
        entries = ["checkpoint", "history", "training_record"]
        yield f"train_fold {fold}", [f"fold_{fold}_{entry}" for entry in entries]
    is_tuned = experiment.partition("@")[0] == MINE
    if experiment == MINE:
        found = make_search()
        searched = ["tuned_postprocess", "holdout_postprocess", "tuning_table"]
        for entry, content in zip(searched, found, strict=True):
            catalog.save(entry, content)
        yield "tuning", searched
    page_scores, words = score(experiment)
    untuned = score(experiment, worse=1.4)[0] if experiment == MINE else page_scores.iloc[:0]
    recipe = RECIPE.postprocess.model_dump(mode="json")
    names = [f"fold_{fold}" for fold in FOLDS]
    chosen = {
        "source": "tuned" if is_tuned else "recipe",
        "postprocess": TUNED if is_tuned else recipe,
        "recipe": recipe,
        "members": {"names": names, "weights": [0.2] * 5, "mean": "probability",
                    "sources": dict.fromkeys(names, "0123")},
    }  # fmt: skip
    judged = {
        page: both for name in names for page, both in judge(experiment, name, OUT_OF_FOLD).items()
    }
    content = {
        "chosen_postprocess": chosen,
        "test_detections": _list_corners(judge(experiment, "ensemble", TEST)),
        "page_scores": page_scores,
        "untuned_page_scores": untuned,
        "word_outcomes": words,
        "scores": tabulate_scores(page_scores),
        "worst_detections": {OUT_OF_FOLD: _list_corners(choose_worst(judged, 6))},
    }
    for entry, value in content.items():
        catalog.save(entry, value)
    yield "ensemble", list(content)


def _list_corners(judged: Any) -> dict[str, list[list[float]]]:
    """Page -> the corners of what was found on it."""
    return {
        page: [polygon.ravel().tolist() for polygon in words] for page, (words, _) in judged.items()
    }


def _submit(catalog: DataCatalog, experiment: str) -> None:
    """Make the submission and, where the leaderboard said something, note that."""
    chosen, scores = catalog.load("chosen_postprocess"), catalog.load("scores")
    table = _format(catalog, catalog.load("test_detections"))
    settings = [catalog.load(f"params:{name}") for name in ("experiments", "test_time")]
    made = register_submission(table, *settings, chosen, scores, catalog.load("experiment_store"))
    catalog.save("submission_csv", table)
    _note(catalog, made, TOLD.get(experiment))


def _submit_more(catalog: DataCatalog) -> None:
    """An earlier submission, read from the maps with the recipe's thresholds; and a final fit's."""
    changes = {"source": "recipe", "postprocess": RECIPE.postprocess}
    others = catalog.load("experiment_store")
    chosen = catalog.load("chosen_postprocess").model_copy(update=changes)
    scores = tabulate_scores(catalog.load("untuned_page_scores"))
    settings = [catalog.load(f"params:{name}") for name in ("experiments", "test_time")]
    found = catalog.load("test_detections")
    fewer = {page: words[1:] for page, words in found.items()}
    made = register_submission(_format(catalog, fewer), *settings, chosen, scores, others)
    _note(catalog, made, EARLIER, made="2026-01-01T00:00:00Z")
    fewest = {page: words[2:] for page, words in found.items()}
    final = register_final(_format(catalog, fewest), *settings, chosen, others)
    _note(catalog, final, FINAL, made="2999-01-01T00:00:00Z")


def _format(catalog: DataCatalog, detections: dict[str, Any]) -> pd.DataFrame:
    return format_submission(detections, catalog.load("pages"), catalog.load("rejected"))[1]


def _note(
    catalog: DataCatalog,
    submission: tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]],
    told: dict[str, Any] | None,
    **changes: str,
) -> None:
    """Keep a submission with its record, and what the leaderboard said of it."""
    copies, records = submission
    catalog.save("submissions", copies)
    for name, record in records.items():
        kept = record.model_copy(update=changes)
        catalog.save("submission_records", {name: kept})
        if told is None:
            continue
        said = score_record(LeaderboardSettings(**told), record, "leaderboard")
        # What the truth says is no leaderboard's word, however high it is.
        truth = score_record(LeaderboardSettings(hmean=0.99), record, "test truth")
        catalog.save("leaderboard_records", {name: said, f"{name}_truth": truth})
