"""Names of experiments and members."""

import pytest

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.identity import ExperimentId, Member


@pytest.mark.parametrize(
    ("name", "view", "params"),
    [("lite0", "none", "experiment=lite0"), ("lite0@flips", "flips", "experiment=lite0,tta=flips")],
)
def test_an_experiment_is_read_from_its_name(name: str, view: str, params: str) -> None:
    identity = ExperimentId.parse(name)
    assert identity == ("lite0", view)
    assert (str(identity), identity.params) == (name, params)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("fold_0", Member(None, 0)),
        ("fold_12", Member(None, 12)),
        ("convnext_tiny/fold_3", Member(ExperimentId("convnext_tiny"), 3)),
        ("lite0@flips/fold_1", Member(ExperimentId("lite0", "flips"), 1)),
    ],
)
def test_a_member_is_read_from_its_name(name: str, member: Member) -> None:
    assert Member.parse(name) == member
    assert str(member) == name


def test_every_voter_is_read_from_its_name() -> None:
    voters = EnsembleSettings(members=("all", "wide@flips/all")).voters
    assert tuple(Member.parse(str(voter)) for voter in voters) == voters


@pytest.mark.parametrize("name", ["final", "ensemble", "wide/fold_x", ""])
def test_what_is_no_member_has_no_fold(name: str) -> None:
    with pytest.raises(ValueError, match="a member is named"):
        Member.parse(name)
