"""Compiled functions: kept where that can be, never stale, and the same without a cache."""

import ast
import importlib
import logging
import pkgutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import receipt_ocr
from receipt_ocr.geometry.compiled import compiled

ROOMS = ("geometry", "receipts", "decoding", "evaluation")


def modules_with_loops() -> list[ModuleType]:
    names = [
        module.name
        for module in pkgutil.walk_packages(receipt_ocr.__path__, "receipt_ocr.")
        if module.name.split(".")[1] in ROOMS
    ]
    modules = [importlib.import_module(name) for name in names]
    return [m for m in modules if any(isinstance(v, Dispatcher) for v in vars(m).values())]


@pytest.mark.parametrize("module", modules_with_loops(), ids=lambda module: module.__name__)
def test_a_compiled_function_uses_nothing_of_another_file(module: ModuleType) -> None:
    # What is kept of it would not notice that the other file has changed.
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("receipt_ocr")
        for alias in node.names
    }
    loops = [value for value in vars(module).values() if isinstance(value, Dispatcher)]
    own = [loop for loop in loops if loop.py_func.__module__ == module.__name__]
    for loop in own:
        assert not set(loop.py_func.__code__.co_names) & ours, loop.py_func.__name__
    imported = {loop.py_func.__name__ for loop in loops} - {loop.py_func.__name__ for loop in own}
    assert imported <= ours  # called from Python only


def test_there_are_modules_with_loops() -> None:
    names = {module.__name__.removeprefix("receipt_ocr.") for module in modules_with_loops()}
    assert {
        "geometry.polygons",
        "receipts.targets",
        "decoding.candidates",
        "evaluation.areas",
    } <= names


def test_without_a_folder_to_keep_it_a_function_is_compiled_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names: dict[str, object] = {}
    exec(compile("def double(x): return 2 * x", "<no file>", "exec"), names)
    with caplog.at_level(logging.INFO):
        loop = compiled(names["double"])  # type: ignore[arg-type, var-annotated]
    assert loop(21) == 42
    assert "double is compiled anew in every process" in caplog.text


def test_division_by_zero_is_as_in_numpy() -> None:
    @compiled
    def divide(x: float, y: float) -> float:
        return x / y

    assert divide(1.0, 0.0) == np.inf
    assert np.isnan(divide(0.0, 0.0))
