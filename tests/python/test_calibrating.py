"""Calibration files: what stands behind their numbers, how they are fitted and compared, what runs say about them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import rxpool
from conftest import ROOT, Command
from rxpool.calibrating import calibrate, differences, files
from rxpool.errors import InputError
from rxpool.figures import read_figures, validate_figures
from rxpool.figures.entries import shipped_figures
from rxpool.profile import beside_published, profile

FOLDER = ROOT / "scenarios" / "calibration"
FITTED = sorted(p for p in FOLDER.glob("*.json") if p.name != "figures.json")
NO_FIT: dict[str, Any] = {"figures": [], "parameters": {}}
FIGURE = re.compile(r"(fit:)?([A-Z]{1,3}-?\d+[a-z]?|M1)(/[\w.]+)*(,[A-Z]{1,3}-?\d+[a-z]?(/[\w.]+)*)*$")


def numbers(document: Any, place: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object of a file that holds a number, with its place."""
    if not isinstance(document, dict) or place in ("fit", "parameters"):
        return []
    if any(key in document for key in ("ns", "value", "exit_ns")):
        return [(place, document)]
    return [n for key, value in document.items() for n in numbers(value, f"{place}.{key}".lstrip("."))]


def priors(folder: Path, **factors: float) -> Path:
    """Priors of M1 with mlx5 whose prices are off by some factors."""
    document = files.read(FOLDER / "priors" / "m1-mlx5.json")
    for parameter in files.parameters(document):
        for place in parameter.numbers:
            entry, key = files.number(document, place)
            entry[key] *= factors.get(parameter.name, 1.0)
    document["parameters"] = {name: document["parameters"][name] for name in factors}
    path = folder / "m1-mlx5.json"
    files.write(document, path)
    return path


def test_there_are_calibrations() -> None:
    assert {p.stem for p in FITTED} == {"m1-i40e", "m1-mlx4", "m1-mlx5"}


@pytest.mark.parametrize("path", FITTED, ids=lambda p: p.stem)
def test_every_number_has_a_figure_or_a_fit_behind_it_or_says_that_it_has_none(path: Path) -> None:
    document = files.read(path)
    fit = document.get("fit", NO_FIT)
    fitted = {place for p in fit["parameters"].values() for place in p["numbers"]}
    for place, entry in numbers(document):
        figure = entry["figure"]
        if figure == "uncalibrated":
            assert len(entry["note"]) > 10, place
        elif figure.startswith("fit:") and "base" not in document:
            assert place in fitted, place
            assert set(figure.removeprefix("fit:").split(",")) <= set(fit["figures"]), place
        else:
            assert FIGURE.match(figure), (place, figure)


@pytest.mark.parametrize("path", FITTED, ids=lambda p: p.stem)
def test_no_parameter_is_there_for_one_figure(path: Path) -> None:
    """Several figures need it: measurements, or one under several conditions."""
    fit = files.read(path).get("fit", NO_FIT)
    for name, parameter in fit["parameters"].items():
        named = parameter["figures"]
        assert len(named) > 1, (name, named)
        assert parameter["low"] <= parameter["factor"] <= parameter["high"], name
    assert not set(fit["parameters"]) & {f.id for f in read_figures(shipped_figures())}


def test_one_machine_has_fewer_parameters_than_entries() -> None:
    together = [files.read(FOLDER / f"{name}.json")["fit"] for name in ("m1-mlx5", "m1-i40e")]
    assert together[0]["figures"] == together[1]["figures"]
    assert sum(len(fit["parameters"]) for fit in together) < len(together[0]["figures"])


def test_no_number_is_named_after_a_scenario() -> None:
    scenarios = {p.stem for p in (ROOT / "scenarios").glob("*.json")}
    for path in FITTED:
        document = files.read(path)
        assert not scenarios & ({*document["steps"]} | {*document.get("fit", NO_FIT)["parameters"]})


def test_a_fit_finds_the_prices_that_made_the_figures(tmp_path: Path) -> None:
    """Figures made by the simulator itself, from priors that are off: the fit undoes it."""
    wanted = [
        f
        for f in read_figures(shipped_figures())
        if f.id in {"XP-20/raw/1", "XP-20/filter/1", "XP-25/raw/0.5", "XP-27"}
    ]
    prices = tmp_path / "truth.json"
    files.write(files.scaled(files.read(priors(tmp_path, skb=1.0)), {"skb": 1.0}), prices)
    truth = validate_figures(wanted, calibrations={"mlx5": prices})
    made = [type(o.figure)(**{**vars(o.figure), "value": o.simulated, "role": "fit"}) for o in truth]
    off = tmp_path / "off"
    off.mkdir()
    fit = calibrate(made, [priors(off, skb=0.8, program=1.3)], machine="M1")
    found = dict(zip([p.name for p in fit.parameters], fit.factors, strict=True))
    assert found["skb"] == pytest.approx(1 / 0.8, rel=0.03)
    assert found["program"] == pytest.approx(1 / 1.3, rel=0.1)
    assert fit.documents[0]["provisional"] is False
    (tmp_path / "fitted").mkdir()
    assert files.read(fit.write(tmp_path / "fitted")[0]) == fit.documents[0]


def test_more_parameters_than_entries_are_refused(tmp_path: Path) -> None:
    one = [f for f in read_figures(shipped_figures()) if f.id == "XP-20/raw/1"]
    with pytest.raises(InputError, match="2 parameters need more than 1 entries"):
        calibrate(one, [priors(tmp_path, skb=1.0, program=1.0)], machine="M1")


def test_a_number_that_is_not_there_is_refused(tmp_path: Path) -> None:
    document = files.read(FOLDER / "priors" / "m1-mlx5.json")
    document["parameters"]["skb"]["numbers"] = ["steps.no_such_step"]
    with pytest.raises(InputError, match=r"no number steps\.no_such_step"):
        files.parameters(document)


def test_diff_names_the_step_that_got_slower(tmp_path: Path, rxpool_command: Command) -> None:
    document = files.read(FOLDER / "m1-mlx5.json")
    document["steps"]["conntrack"]["ns"] *= 2
    document["steps"]["tick"]["ns"] /= 2
    files.write(document, tmp_path / "slower.json")
    changes = differences("m1-mlx5", str(tmp_path / "slower.json"))
    assert [c.place for c in changes] == ["steps.conntrack", "steps.tick"]
    assert changes[0].slower and not changes[1].slower
    done = rxpool_command("calibrate", "--diff", "m1-mlx5", str(tmp_path / "slower.json"))
    assert done.returncode == 1 and "steps.conntrack got slower most" in done.stderr
    assert rxpool_command("calibrate", "--diff", "m1-mlx5", "m1-mlx5").returncode == 0


def test_a_change_within_the_standard_errors_is_none(tmp_path: Path) -> None:
    document = files.read(FOLDER / "m1-mlx5.json")
    document["steps"]["conntrack"]["ns"] *= 1.03
    document["fit"]["parameters"]["conntrack"]["standard_error"] = 0.1
    files.write(document, tmp_path / "same.json")
    assert not differences("m1-mlx5", str(tmp_path / "same.json"))


def test_a_run_with_a_nic_that_nobody_fitted_says_so_in_every_format(
    tmp_path: Path, small: dict[str, Any], rxpool_command: Command
) -> None:
    (tmp_path / "other.json").write_text(
        json.dumps({**small, "nics": {"nic0": {**small["nics"]["nic0"], "driver": "ice"}}})
    )
    (tmp_path / "own.json").write_text(json.dumps(small))
    for form in ("table", "json", "csv"):
        assert "uncalibrated: nobody has fitted m1-mlx5" in rxpool_command("run", "other.json", "-f", form).stdout
        assert "uncalibrated: nobody" not in rxpool_command("run", "own.json", "-f", form).stdout


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "--policy", "pass", "--policy", "drop"],
        ["sweep", "--vary", "nics.nic0.rx_ring=256,512"],
        ["tune", "--vary", "nics.nic0.rx_ring=256,512", "--minimise", "packets.dropped", "--trials", "2"],
        ["graph", "--to", "graph.dot"],
    ],
    ids=lambda c: c[0],
)
def test_what_rests_on_a_nic_that_nobody_fitted_says_so_too(
    tmp_path: Path, small: dict[str, Any], rxpool_command: Command, command: list[str]
) -> None:
    (tmp_path / "other.json").write_text(
        json.dumps({**small, "nics": {"nic0": {**small["nics"]["nic0"], "driver": "ice"}}})
    )
    verb, *options = command
    for form in ("table", "json", "csv"):
        said = rxpool_command(verb, "other.json", *options, "-f", form).stdout
        assert said.count("uncalibrated: nobody has fitted m1-mlx5") >= 1, form


def test_calibration_uncertainty_draws_prices_anew_in_each_replication(small: dict[str, Any]) -> None:
    def latencies(**changes: Any) -> list[float]:
        result = rxpool.run(small, set=changes, replications=3)
        return result.values("cpus.cpu0", "busy_softirq")

    drawn = latencies(calibration_uncertainty=True)
    assert drawn == latencies(calibration_uncertainty=True)
    assert all(a != b for a, b in zip(drawn, latencies(), strict=True))


def test_a_profile_adds_up_to_the_busy_time(small: dict[str, Any]) -> None:
    result = rxpool.run(small, set={"record.per_step": True})
    found = profile(result)
    busy_ns = sum(result.mean(f"cpus.cpu{i}", "busy") for i in (0, 1)) / 100 * result.duration_ms * 1e6
    packets = result.mean("nics.nic0.rx_queues.rx0", "rx_packets")
    busy_part = found[found.step != "idle_exit"]["ns_per_packet"].sum()
    assert busy_part == pytest.approx(busy_ns / packets, rel=0.02)
    assert found["share"].sum() == pytest.approx(1)
    with pytest.raises(InputError, match=r"record\.per_step"):
        profile(rxpool.run(small))


def test_the_receive_loop_stands_beside_the_published_profile() -> None:
    quick = {"record.per_step": True, "duration_ms": 1}
    result = rxpool.run(ROOT / "scenarios" / "xdp-tx.json", set=quick, policy="rxq_read")
    table = beside_published(result).set_index("part")
    assert table.loc["completion read and handled", "simulated"] == pytest.approx(13.7, rel=0.12)


HEADLINES = sorted(
    p for p in (ROOT / "scenarios").glob("seed-*.json") if json.loads(p.read_text())["headline"].get("source")
)


@pytest.mark.parametrize("path", HEADLINES, ids=lambda p: p.stem)
def test_a_headline_scenario_answers_beside_its_published_figure(path: Path) -> None:
    headline = rxpool.run(path).headline
    assert headline["source"] and headline["figure"] > 0
    assert headline["simulated"] == pytest.approx(headline["value"] / 1e6)
    assert headline["error"] == pytest.approx(headline["simulated"] / headline["figure"] - 1)


def test_the_headline_is_the_first_line(rxpool_command: Command) -> None:
    done = rxpool_command("run", str(ROOT / "scenarios" / "seed-iptables-raw.json"))
    assert re.match(r"headline: .* published: 6 Mpps \(S-7\), simulated: \S+ Mpps, error [+-]", done.stdout)
