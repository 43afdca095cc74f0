"""The final fit: how long, on which pages, and never on those of the test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.pipelines.final_fit import create_pipeline
from receipt_ocr.pipelines.final_fit.nodes import pick_epochs, pick_postprocess
from receipt_ocr.receipts.labelled_pages import gather_labelled, read_further
from receipt_ocr.receipts.settings import IngestionSettings
from receipt_ocr.records import TunedPostprocess
from receipt_ocr.training.settings import FinalFitSettings
from tests.raw_receipts import WORD, write_raw

EXPERIMENTS = Experiments(selected="small", recipe=Recipe(), variants={"small": {}})


def history(*hmeans: float) -> pd.DataFrame:
    return pd.DataFrame({"epoch": np.arange(len(hmeans), dtype=float), "hmean": hmeans})


def test_the_folds_that_were_trained_say_how_long() -> None:
    folds = [history(0.1, 0.9, 0.5), None, history(0.1, 0.2, 0.3, 0.8), None, history(0.5, 0.4)]
    chosen = pick_epochs(FinalFitSettings(), EXPERIMENTS, *folds)
    assert chosen.model_dump() == {"epochs": 2, "peaks": {"fold_0": 1, "fold_2": 3, "fold_4": 0}}
    given = pick_epochs(FinalFitSettings(epochs=7), EXPERIMENTS, *([None] * 5))
    assert given.model_dump() == {"epochs": 7, "peaks": {}}
    with pytest.raises(ValueError, match=r"no fold of small has been trained.*final_fit\.epochs"):
        pick_epochs(FinalFitSettings(), EXPERIMENTS, *([None] * 5))


def test_words_are_found_with_what_was_tuned_on_the_folds() -> None:
    tuned = TunedPostprocess(
        postprocess=PostprocessSettings(thresh=0.4),
        members=("fold_1",),
        sources={"fold_1": "of whichever detector"},
        pages=9,
        chosen_hmean=0.9,
        recipe_hmean=0.8,
    )
    settings = FinalFitSettings()
    chosen = pick_postprocess(settings, EXPERIMENTS, tuned)
    assert (chosen.source, chosen.postprocess.thresh, chosen.names) == ("tuned", 0.4, ())
    assert pick_postprocess(settings, EXPERIMENTS, None).source == "recipe"
    insisted = settings.model_copy(update={"thresholds": "recipe"})
    assert pick_postprocess(insisted, EXPERIMENTS, tuned).source == "recipe"
    insisted = settings.model_copy(update={"thresholds": "tuned"})
    with pytest.raises(ValueError, match="nothing is tuned yet"):
        pick_postprocess(insisted, EXPERIMENTS, None)


def test_its_files_are_kept_apart_from_the_folds() -> None:
    outputs = create_pipeline().all_outputs()
    apart = {name for name in outputs if name.startswith("final_")}
    assert {"final_checkpoint", "final_history", "final_submission_csv"} <= apart
    assert outputs - apart == {"submissions", "submission_records"}  # named after their content
    assert "params:final_fit" in create_pipeline().inputs()


def test_training_and_holdout_pages_are_learnt_from_and_test_pages_never(tmp_path: Path) -> None:
    labelled = {"a": "train", "c": "holdout", "d": "test"}
    rows = [(name, subset, name, 100, 200, True) for name, subset in labelled.items()]
    rows.append(("b", "train", "b", 100, 200, False))
    columns = ["page", "subset", "path", "width", "height", "has_truth"]
    pages = pd.DataFrame(rows, columns=columns)
    words = pages[pages["has_truth"]].assign(ignored=False, polygon=[[0, 0, 9, 0, 9, 5, 0, 5]] * 3)
    both = gather_labelled(pages, words, tmp_path, with_holdout=True)
    assert [page.name for page in both] == ["a", "c"]
    only = gather_labelled(pages, words, tmp_path, with_holdout=False)
    assert [page.name for page in only] == ["a"]


def test_another_data_set_joins_with_names_and_a_weight_of_its_own(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "other", train=2, test=1)
    pages = read_further(raw, "train", 0.5, IngestionSettings())
    assert [page.name for page in pages] == ["other/train/train_0.png", "other/train/train_1.png"]
    assert {page.weight for page in pages} == {0.5}
    assert pages[0].path == raw / "images" / "train" / "train_0.png"
    assert [word.tolist() for word in pages[0].polygons] == [WORD["points"]]
    with pytest.raises(ValueError, match=r"other has no labelled page of subset 'holdout'"):
        read_further(raw, "holdout", 1.0, IngestionSettings())
    with pytest.raises(FileNotFoundError, match=r"final_fit\.further: no folder .*nowhere"):
        read_further(tmp_path / "nowhere", "train", 1.0, IngestionSettings())


def test_two_data_sets_of_one_name_are_refused() -> None:
    twice = [{"folder": "a/sroie"}, {"folder": "b/sroie"}]
    with pytest.raises(ValueError, match=r"last parts of .*a/sroie.*b/sroie.* must differ"):
        FinalFitSettings(further=twice)  # type: ignore[arg-type]  # as YAML gives it
