"""A short form of `python -m tests.properties.endure`."""

import os

import pytest

from tests.properties import endure

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
MORE = 20 if os.environ.get("COFM_HYPOTHESIS") == "thorough" else 1


def test_no_kill_loses_an_answer():
    endure.kills(20 * MORE, seed=1)


def test_no_damage_is_silent():
    ends = endure.damages(100 * MORE, seed=1)
    assert ends["right labels"] > 10 * MORE
    assert ends["error with a copy"] > 10 * MORE


def test_ctrl_c_leaves_no_lock():
    endure.ctrl_cs(30 * MORE, seed=1)


def test_no_forked_child_hangs():
    endure.forks(50 * MORE, seed=1)
