"""Published figures: how they are read, what stands for them, and that docs/validation.md is current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command
from rxpool.errors import InputError
from rxpool.figures import Figure, Outcome, read_figures, validate_figures
from rxpool.figures.entries import shipped_figures
from rxpool.figures.page import page
from rxpool.figures.paths import PATHS, find_path
from rxpool.figures.validating import groups, plan


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "T-1",
        "machine": "M1",
        "nic": "mlx5",
        "era": "4.17, retpoline off",
        "path": "xdp_drop",
        "conditions": {"rx_queues": 1, "frame_bytes": 64, "ring": 256},
        "metric": "rx_xdp_drop",
        "value": 24_000_000,
        "unit": "pps",
        "role": "check",
        "source": "a test",
    } | changes


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    file = folder / "figures.json"
    file.write_text(json.dumps({"schema": 1, "entries": list(entries)}))
    return file


def figure(folder: Path, **changes: Any) -> Figure:
    return read_figures(written(folder, entry(**changes)))[0]


@pytest.mark.parametrize(
    ("sentence", "path"),
    [
        ("XDP_DROP, data not touched", "xdp_drop"),
        ("XDP_DROP, header read", "xdp_drop_read"),
        ("XDP_TX same port, bus limit", "bus_tx"),
        ("stack drop in iptables raw", "raw_drop"),
        ("counting XDP_PASS program before raw drop", "xdp_count_pass"),
        ("UDP to closed port, GRO on", "closed_port"),
        ("XDP_DROP on the remote CPU", "cpumap_drop"),
        ("a flight of pigeons", ""),
    ],
)
def test_a_sentence_names_the_path_it_describes(sentence: str, path: str) -> None:
    assert find_path(sentence) == path


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"value": "much"}, "entries[0].value"),
        ({"role": "guess"}, "entries[0].role"),
        ({"metric": ""}, "entries[0].metric"),
        ({"conditions": []}, "entries[0].conditions"),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(tmp_path: Path, changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=r"figures\.json: ") as caught:
        figure(tmp_path, **changes)
    assert place in str(caught.value)


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="T-1 stands in it twice"):
        read_figures(written(tmp_path, entry(), entry()))


def test_machine_and_nic_are_recognised_in_a_description(tmp_path: Path) -> None:
    made = figure(tmp_path, machine="M1, i40e", nic=None)
    assert (made.machine, made.nic) == ("M1", "i40e")


def test_every_shipped_figure_has_a_path() -> None:
    assert all(f.path in PATHS for f in read_figures(shipped_figures()))


def test_an_unknown_condition_is_a_miss_and_named(tmp_path: Path) -> None:
    assert "moon_phase" in plan(figure(tmp_path, conditions={"moon_phase": 3})).why


def test_a_figure_that_is_not_run_stays_in_as_a_miss(tmp_path: Path) -> None:
    outcome = validate_figures([figure(tmp_path, path="a flight of pigeons")])[0]
    assert not outcome.inside
    assert groups([outcome])[0].count == 1
    assert "| no |" in page([outcome])


def test_what_is_allowed_depends_on_role_machine_and_unit(tmp_path: Path) -> None:
    def inside(simulated: float, **changes: Any) -> bool:
        return Outcome(figure(tmp_path, **{"value": 100.0} | changes), simulated).inside

    assert inside(109.0) and not inside(111.0)
    assert inside(104.0, role="fit") and not inside(106.0, role="fit")
    assert inside(119.0, machine="M9") and not inside(121.0, machine="M9")
    assert inside(2.9, value=0.0, unit="%") and not inside(3.1, value=0.0, unit="%")
    rare = {"unit": "per second", "conditions": {"offered_mpps": 100}}
    assert inside(999.0, **rare) and not inside(1001.0, **rare) and not inside(0.0, **rare)


def test_a_difference_is_taken_between_two_runs(tmp_path: Path) -> None:
    one = figure(tmp_path, path="xdp_count_pass", metric="added_ns_per_packet", value=13.28, unit="ns")
    assert len(plan(one).scenarios) == 2
    simulated = validate_figures([one])[0].simulated
    assert simulated is not None and 5 < simulated < 25


def test_figures_of_one_scenario_share_its_run(tmp_path: Path) -> None:
    drop, polls = read_figures(written(tmp_path, entry(), entry(id="T-2", metric="packets_per_poll", value=64.0)))
    assert plan(drop).scenarios[0].text == plan(polls).scenarios[0].text


def test_the_validation_page_is_current() -> None:
    outcomes = validate_figures(read_figures(shipped_figures()))
    assert (ROOT / "docs" / "validation.md").read_text() == page(outcomes), "run rxpool validate --figures"


def test_validate_prints_every_figure_and_says_by_exit_code_that_there_are_misses(
    tmp_path: Path, rxpool_command: Command
) -> None:
    file = written(tmp_path, entry(value=1), entry(id="T-2", metric="packets_per_poll", value=64.0))
    done = rxpool_command("validate", str(file), "--figures", "-f", "json")
    assert done.returncode == 1
    rows = {row["figure"]: row for row in json.loads(done.stdout)}
    assert rows["T-2"]["inside"] and not rows["T-1"]["inside"]
    assert rxpool_command("validate").returncode == 2
