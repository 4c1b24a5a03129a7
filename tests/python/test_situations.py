"""The shipped situations on this machine's kernel and in the simulator, priced for this host first."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from kernel_lab import need_lab
from rxpool import load

SITUATIONS = sorted((ROOT / "scenarios/kernel").glob("*.json"))


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This host's own prices."""
    need_lab()
    from rxpool.kernel.calibrating import calibrate_this_host

    path = tmp_path_factory.mktemp("calibration") / "here.json"
    calibrate_this_host("here", repeats=3).write(path)
    return path


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda path: path.stem)
def test_the_simulator_predicts_what_this_kernel_does(situation: Path, calibration: Path) -> None:
    from rxpool.kernel import validate

    scenario = load(situation, set={"calibration": str(calibration)}, allow_path=True)
    done = validate(scenario, repeats=3)
    assert done.inside, f"\n{done.table.to_string()}"
    pages = done.table[done.table.unit == "pages"]
    always_full = (pages.bound <= pages.allowed).all()  # then a full buffer is all there is to predict
    assert done.beats_guesses or always_full, f"\n{done.table.to_string()}"
