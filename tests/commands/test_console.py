"""What a terminal shows of a failure, and of libraries' remarks."""

import logging

import click
import pytest

from receipt_ocr.commands.console import plain_errors
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.settings import REMARKS


def test_a_users_error_becomes_one_message() -> None:
    message = r"(?s)no file x.*FileNotFoundError"
    with pytest.raises(click.ClickException, match=message), plain_errors():
        raise FileNotFoundError("no file x")


def test_a_wrong_setting_is_named_without_links_to_manuals() -> None:
    message = r"(?s)GridSettings\nthresh\.0\n.*'high'.*RECEIPT_OCR_TRACEBACK"
    with pytest.raises(click.ClickException, match=message) as raised, plain_errors():
        GridSettings.model_validate({"thresh": ["high"]})
    assert "http" not in raised.value.message


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plain_errors():
        _ = 1 / 0


def test_the_traceback_of_a_users_error_is_shown_on_demand(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RECEIPT_OCR_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError), plain_errors():
        logging.getLogger("kedro.pipeline.node").error("Node %s failed with error: %s", "a", "b")
        raise FileNotFoundError("no file x")
    assert caplog.messages == ["Node a failed with error: b"]


def test_only_what_repeats_the_error_is_left_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = logging.getLogger("kedro.pipeline.node")
    runner = logging.getLogger("kedro.runner.sequential_runner")
    with plain_errors():
        node.error("Node %s failed with error: \n%s", "a", "b")
        runner.warning("There are 3 nodes that have not run.")
        node.warning("Another matter")
    node.error("Node %s failed with error: \n%s", "a", "b")
    assert caplog.messages == ["Another matter", "Node a failed with error: \nb"]


def test_known_remarks_of_libraries_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("py.warnings")
    for remark in REMARKS:
        log.warning("%s", f"file.py:3: UserWarning: {remark} and so on")
    log.warning("%s", "file.py:3: UserWarning: division by zero")
    assert caplog.messages == ["file.py:3: UserWarning: division by zero"]
