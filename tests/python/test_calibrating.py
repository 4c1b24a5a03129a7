"""Calibrations compared, where a run's time went, and headline numbers beside published figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import rxpool
from conftest import ROOT, Command
from rxpool.calibrating import differences
from rxpool.errors import InputError
from rxpool.profile import profile

M1 = ROOT / "scenarios" / "calibration" / "m1-mlx5.json"


def changed(path: Path, step: str, factor: float) -> Path:
    """M1 with one step's price multiplied."""
    pattern = rf'("{step}": {{"ns": )([\d.]+)'
    path.write_text(re.sub(pattern, lambda m: m[1] + str(float(m[2]) * factor), M1.read_text()))
    return path


def test_diff_names_the_step_that_got_slower(tmp_path: Path, rxpool_command: Command) -> None:
    slower = changed(tmp_path / "slower.json", "conntrack", 2)
    assert [c.place for c in differences(str(M1), str(slower))] == ["steps.conntrack"]
    assert not differences(str(slower), str(M1))[0].slower
    done = rxpool_command("calibrate", "--diff", str(M1), str(slower))
    assert done.returncode == 1 and "steps.conntrack got slower most" in done.stderr


def test_a_profile_adds_up(small: dict[str, Any]) -> None:
    found = profile(rxpool.run(small, set={"record.per_step": True}))
    assert found["share"].sum() == pytest.approx(1)
    with pytest.raises(InputError, match=r"record\.per_step"):
        profile(rxpool.run(small))


@pytest.mark.parametrize("name", ["seed-iptables-raw", "seed-xdp-filter", "seed-gro-100g"])
def test_a_headline_scenario_answers_beside_its_published_figure(name: str) -> None:
    headline = rxpool.run(ROOT / "scenarios" / f"{name}.json").headline
    assert headline["simulated"] == pytest.approx(headline["value"] / 1e6)
    assert headline["error"] == pytest.approx(headline["simulated"] / headline["figure"] - 1)
