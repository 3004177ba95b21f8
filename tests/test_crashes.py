"""Kills at random moments: never half a bundle, never a run that does not resume."""

import pytest

from benchmarks.crashes import run_rounds

pytestmark = pytest.mark.full


@pytest.mark.parametrize(("victim", "count"), [("export", 12), ("train", 8)])
def test_a_kill_leaves_what_can_be_used(victim, count):
    rounds = [*run_rounds(victim, count, seed=3)]
    assert [one for one in rounds if one.fault] == []
    assert len({one.found for one in rounds}) > 1
