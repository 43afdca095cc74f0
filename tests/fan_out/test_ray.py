"""Five folds on a local Ray."""

import sys
from typing import Any

import pytest

from receipt_ocr.fan_out.on_ray import RayExecutor, _demand

TIMEOUT = 300  # of a loaded machine; it takes half a minute


def test_a_fold_that_is_killed_is_tried_again_and_the_others_go_on(project: Any) -> None:
    pytest.importorskip("ray")
    project.tell("a", 2, "die")
    command = project.start("--ray", "--cpus-per-fold=1", "--params", "resume=false")
    output, _ = command.communicate(timeout=TIMEOUT)
    assert command.returncode == 0, output

    assert "a fold 2: FAILED" in output
    assert "SIGKILL" in output
    rows = {line.split()[1]: line.split() for line in output.splitlines() if line[:2] == "a "}
    assert "trained in 2 tries" in output
    for number in "01234":
        assert f"0.5{number}00" in rows[number], output
    # Starting over is for the first try: the second goes on from what the first has left.
    assert [line.split()[0] for line in project.tries("a", 2)] == ["False", "True"]
    assert [line.split()[0] for line in project.tries("a", 3)] == ["False"]
    assert (project.folder / "data/a/fold_2.log").read_text().count("---- a fold 2, try ") == 2

    runs = project.runs()
    assert sorted(runs) == ["a", *(f"a fold {fold}" for fold in range(5))]
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert runs["a"]["tags"]["folds"] == "0,1,2,3,4"
    assert "train-folds --ray" in runs["a"]["tags"]["command"]
    for fold in range(5):
        assert runs[f"a fold {fold}"]["params"]["fold"] == str(fold)
        assert runs[f"a fold {fold}"]["parent"] == "a"


def test_without_ray_an_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r'pip install "receipt_ocr\[ray\]"'):
        RayExecutor()


def machine(cpus: float, gpus: float = 0.0) -> dict[str, Any]:
    return {"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}}


def test_what_a_fold_asks_for_fits_a_machine() -> None:
    assert _demand([machine(2)], None, None) == (2, 0)
    assert _demand([machine(64), machine(8, 4)], None, None) == (4, 1)
    assert _demand([machine(8, 4)], 2, 0.5) == (2, 0.5)
    with pytest.raises(ValueError, match="no machine of this Ray has 4 CPU and 2 GPU"):
        _demand([machine(64), machine(8, 1)], 4, 2)
    with pytest.raises(ValueError, match="--cpus-per-fold"):  # CPUs and GPUs on one machine
        _demand([machine(64), machine(8, 1)], 16, 1)
