"""Folds on this machine, as users train them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TIMEOUT = 120


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_failed_fold_is_named_and_the_others_are_trained(project: Any) -> None:
    project.tell("a", 1, "raise", "raise")
    arguments = ("--experiments=a,b", "--folds=1", "--devices=5,7", "--retries=1")
    command = project.start(*arguments)
    output, _ = command.communicate(timeout=TIMEOUT)
    assert command.returncode == 1, output
    table = output[output.index("experiment  fold") :].splitlines()
    assert table[1].startswith("a           1     failed after 2 tries")
    assert table[1].endswith("data/a/fold_1.log")
    assert table[2].strip() == "ValueError: no receipts left"
    assert table[3].split()[:3] == ["b", "1", "trained"]
    devices = {tuple(project.tries(name, 1)[0].split()[1:]) for name in "ab"}
    assert devices == {("gpu", "5"), ("gpu", "7")}  # never the CPU where GPUs cannot be used
    runs = project.runs()
    statuses = {name: run["status"] for name, run in runs.items()}
    ends = {"a": "FAILED", "b": "FINISHED"}
    assert statuses == ends | {f"{name} fold 1": end for name, end in ends.items()}
    assert [runs[f"{name} fold 1"]["parent"] for name in "ab"] == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at Linux's processes")
@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_the_end_of_the_command_ends_all_its_processes(
    project: Any, number: int, count: int
) -> None:
    for fold in range(count):
        project.tell("a", fold, "hang")
    command = project.start("--folds=0-2", f"--devices={','.join(map(str, range(count)))}")
    files = [project.folder / f"data/a/fold_{fold}/pids" for fold in range(count)]
    wait_for(lambda: command.poll() is not None or all(file.exists() for file in files))
    pids = [int(pid) for file in files for pid in file.read_text().split()]
    assert len(pids) == 2 * count
    assert all(map(is_running, pids))
    os.kill(command.pid, number)
    output, _ = command.communicate(timeout=TIMEOUT)
    wait_for(lambda: not any(map(is_running, pids)))
    if number == signal.SIGINT:
        assert command.returncode == 128 + number, output
        assert output.count(" stopped ") == 3 + 1  # and the message
        statuses = {name: run["status"] for name, run in project.runs().items()}
        assert statuses == {"a": "KILLED", "a fold 0": "KILLED", "a fold 1": "KILLED"}
