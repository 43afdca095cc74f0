"""Sentences as templates, in the language that is being spoken."""

import pytest

from receipt_ocr.report.language import say, speaking

TEXTS = {"{count} of {all} words": "단어 {all}개 중 {count}개", "words": "단어"}


def test_without_another_language_a_template_is_filled_as_it_is() -> None:
    assert say("{count} of {all} words", count=2, all=7) == "2 of 7 words"
    assert say("by {rise:.4f} an epoch", rise=0.01) == "by 0.0100 an epoch"
    assert say("words in {braces}") == "words in {braces}"  # nothing to fill in


def test_within_the_block_sentences_are_translated_and_others_stay() -> None:
    with speaking(TEXTS):
        assert say("{count} of {all} words", count=2, all=7) == "단어 7개 중 2개"
        assert say("words") == "단어"
        assert say("{count} pages", count=3) == "3 pages"
        with speaking({}):
            assert say("words") == "words"
        assert say("words") == "단어"
    assert say("words") == "words"


def test_a_failure_within_the_block_ends_it_too() -> None:
    with pytest.raises(KeyError), speaking(TEXTS):
        raise KeyError
    assert say("words") == "words"
