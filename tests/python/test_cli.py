"""The command: output, exit codes, errors."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

import rxpool
from conftest import ROOT, Command
from rxpool.cli.options import say_precision
from rxpool.console import guarded
from rxpool.errors import ExitCode
from rxpool.statistics import Precision


def test_run_prints_a_table_and_show_prints_it_again(rxpool_command: Command, small_file: Path) -> None:
    first = rxpool_command("run", small_file, "--replications", 2)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    for part in ("rx0", "CPU busy", "packets:", "pages:", "bottleneck:", "speed:", "headline:", "fingerprint"):
        assert part in first.stdout
    assert "\x1b" not in first.stdout
    folder = next((small_file.parent / "runs").iterdir())
    again = rxpool_command("show", f"runs/{folder.name}")
    assert again.stdout == first.stdout
    assert rxpool_command("show", folder.name[:9]).stdout == first.stdout


def test_json_csv_and_parquet_hold_the_same_numbers(rxpool_command: Command, small_file: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    value = json.loads(rxpool_command("run", small_file, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(rxpool_command("run", small_file, "--format", "csv").stdout)))
    assert [float(r["value"]) for r in rows] == [m["value"] for m in value["metrics"]]
    raw = subprocess.run(
        [sys.executable, "-m", "rxpool", "run", small_file, "--format", "parquet"],
        cwd=small_file.parent,
        capture_output=True,
        check=True,
    ).stdout
    table = pq.read_table(io.BytesIO(raw))
    assert table.column("value").to_pylist() == [m["value"] for m in value["metrics"]]
    folder = next((small_file.parent / "runs").iterdir())
    assert pq.read_table(folder / "metrics.parquet").column("value").to_pylist() == table.column("value").to_pylist()


def test_set_seed_and_policy_reach_the_scenario(rxpool_command: Command, small_file: Path) -> None:
    out = rxpool_command(
        "run", small_file, "--set", "nics.nic0.rx_ring=256", "--seed", 5, "--policy", "drop", "--format", "json"
    )
    value = json.loads(out.stdout)
    assert value["scenario"]["nics"]["nic0"]["rx_ring"] == 256
    assert value["seed"] == 5
    assert value["ledger"]["packets"]["places"].get("delivered", 0) == 0
    assert value["ledger"]["packets"]["places"]["dropped.xdp_drop"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], r"missing\.json: No such file"),
        (["small.json", "--set", "nics.nic0.rx_rings=1"], r"nics\.nic0\.rx_rings.*\"rx_ring\""),
        (["small.json", "--set", "nonsense"], "--set nonsense: write it as path=value"),
        (["small.json", "--policy", "nic7=drop"], "no NIC is called 'nic7'"),
        (["small.json", "--precision", "0"], "write a share such as 5% or 0.05"),
        (["small.json", "--metric", "x"], "goes with --precision"),
        (["broken.json"], r"broken\.json"),
        (["binary.json"], r"binary\.json: not UTF-8"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    rxpool_command: Command, small_file: Path, arguments: list[str], message: str
) -> None:
    small_file.with_name("broken.json").write_text('{"seed": 1,')
    small_file.with_name("binary.json").write_bytes(b"\xff\xfe")
    out = rxpool_command("run", *arguments)
    assert out.returncode == 2
    assert out.stdout == ""
    assert out.stderr.count("\n") == 1, out.stderr
    assert re.search(message, out.stderr), out.stderr
    assert not (small_file.parent / "runs").exists()


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "a", "b"], ["run", "a", "--format", "xml"], ["fly"]])
def test_bad_arguments_are_exit_2(rxpool_command: Command, arguments: list[str]) -> None:
    assert rxpool_command(*arguments).returncode == 2


def test_control_characters_do_not_reach_the_terminal(
    rxpool_command: Command, tmp_path: Path, small: dict[str, Any]
) -> None:
    (tmp_path / "evil.json").write_text(json.dumps({**small, "cpus\x1b[31m\n": {}}))
    out = rxpool_command("run", "evil.json")
    assert out.returncode == 2
    assert "\x1b" not in out.stderr
    assert out.stderr.count("\n") == 1


def test_a_host_larger_than_the_machine_is_exit_5(rxpool_command: Command, small_file: Path) -> None:
    out = rxpool_command("run", small_file, "--set", "duration_ms=100000000", "--set", "record.every_us=1")
    assert out.returncode == 5, out.stderr
    assert "GiB" in out.stderr


def test_schema_is_the_shipped_one(rxpool_command: Command) -> None:
    out = rxpool_command("schema")
    assert json.loads(out.stdout) == json.loads((ROOT / "scenarios" / "schema.json").read_text())
    metrics = json.loads(rxpool_command("schema", "--metrics").stdout)
    assert all(set(m) == {"name", "unit", "kind", "meaning", "source"} for m in metrics)


def test_interrupt_is_exit_130_and_keeps_what_is_finished(rxpool_command: Command, small_file: Path) -> None:
    for jobs in ("1", "2"):
        arguments = ["run", small_file, "--replications", "100000", "--jobs", jobs]
        process = subprocess.Popen(
            [sys.executable, "-m", "rxpool", *map(str, arguments)],
            cwd=small_file.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        runs = small_file.parent / "runs"
        before = len(list(runs.rglob("[0-9]*.parquet")))
        deadline = time.monotonic() + 60
        while len(list(runs.rglob("[0-9]*.parquet"))) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 130, errors
        # Python may complain about the pipes of a pool that got the same signal; our line comes first.
        assert errors.startswith("rxpool: interrupted; finished replications are kept, run again to go on\n")
        assert not list(runs.rglob(".tmp-*"))
    folder = next(runs.iterdir())
    kept = len(list(folder.rglob("[0-9]*.parquet")))
    assert kept >= 6
    shown = json.loads(rxpool_command("show", folder, "--format", "json").stdout)
    assert len({m["replication"] for m in shown["metrics"]}) == kept


def test_interrupt_inside_a_long_replication(small_file: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "rxpool",
            "run",
            small_file,
            "--set",
            "duration_ms=3600000",
            "--set",
            "record.every_us=0",
        ],
        cwd=small_file.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    manifest = small_file.parent / "runs"
    while not list(manifest.glob("*/manifest.json")) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.5)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert time.monotonic() - begin < 5


def test_progress_shows_on_a_terminal_only(small_file: Path) -> None:
    controller, terminal = pty.openpty()
    arguments = [sys.executable, "-m", "rxpool", "run", str(small_file), "--replications", "30"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        arguments, cwd=small_file.parent, stdout=subprocess.DEVNULL, stderr=terminal, env=environment
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(controller, 4096):
            shown += chunk
    except OSError:
        pass  # the terminal is gone with the process
    assert process.wait(60) == 0
    assert b"packets/s" in shown
    assert b"/30" in shown


def test_a_closed_pipe_is_no_error(small_file: Path) -> None:
    command = f"{sys.executable} -m rxpool run {small_file} --format csv | head -n 1; exit ${{PIPESTATUS[0]}}"
    out = subprocess.run(["bash", "-c", command], cwd=small_file.parent, capture_output=True, text=True, check=False)
    assert out.stderr == ""
    assert out.returncode == 0


def test_compare_says_what_differs_by_its_exit_code(rxpool_command: Command, small_file: Path) -> None:
    out = rxpool_command("compare", small_file, "--policy", "pass", "--policy", "drop", "--replications", 5)
    assert out.returncode == 1, out.stderr
    assert "packets.delivered" in out.stdout
    assert "significant after Holm" in out.stdout
    same = rxpool_command("compare", small_file, "--policy", "drop", "--policy", "drop", "--replications", 3)
    assert same.returncode == 0, same.stdout
    runs = sorted(p.name for p in (small_file.parent / "runs").iterdir())
    stored = json.loads(rxpool_command("compare", *runs, "--format", "json").stdout)
    assert stored["paired"]
    row = next(r for r in stored["differences"] if r["metric"] == "packets.delivered")
    assert row["n"] == 5
    assert row["significant"]


def test_sweep_keeps_a_run_per_point(rxpool_command: Command, small_file: Path) -> None:
    polars = pytest.importorskip("polars")
    out = rxpool_command(
        "sweep",
        small_file,
        "--vary",
        "nics.nic0.rx_ring=128,256",
        "--vary",
        "seed=1,2",
        "--format",
        "json",
        "--jobs",
        2,
    )
    assert out.returncode == 0, out.stderr
    value = json.loads(out.stdout)
    assert [p["point"] for p in value["points"]] == [
        {"nics.nic0.rx_ring": ring, "seed": seed} for ring in (128, 256) for seed in (1, 2)
    ]
    runs = small_file.parent / "runs"
    frame = polars.read_parquet(str(runs / "*" / "metrics.parquet"))
    points = polars.read_parquet(str(runs / ".studies" / "*" / "points.parquet"))
    joined = frame.join(points, on="run")
    assert set(joined["nics.nic0.rx_ring"]) == {128, 256}
    assert joined["run"].n_unique() == 4


def test_tune_goes_on_where_it_stopped(rxpool_command: Command, small_file: Path) -> None:
    arguments = ["tune", small_file, "--vary", "nics.nic0.rx_ring=64,128,256,512", "--minimise", "sum:posted"]
    first = rxpool_command(*arguments, "--trials", 4, "--format", "json")
    assert first.returncode == 0, first.stderr
    more = rxpool_command(*arguments, "--trials", 6, "--format", "json")
    trials = json.loads(more.stdout)["trials"]
    assert len(trials) == 6
    assert trials[:4] == [{**t, "best": trials[i]["best"]} for i, t in enumerate(json.loads(first.stdout)["trials"])]
    best = min(t["sum:posted"] for t in trials)
    assert all((t["sum:posted"] == best) == t["best"] for t in trials)
    bounded = rxpool_command(*arguments, "--trials", 3, "--subject-to", "packets.offered<=0")
    assert "no trial satisfies every condition" in bounded.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "small.json", "--fresh", "--precision", "5%"], "--fresh does not go with --precision"),
        (["compare", "a", "b", "--fresh"], "--fresh goes with --policy"),
        (["compare", "a", "b", "--precision", "5%"], "--precision goes with --policy"),
        (["compare", "a", "b", "--set", "seed=1"], "--set goes with --policy"),
        (["compare", "a", "b", "--replications", "3"], "--replications goes with --policy"),
        (["compare", "a", "b", "--calibration-uncertainty"], "--calibration-uncertainty goes with --policy"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    rxpool_command: Command, small_file: Path, arguments: list[str], message: str
) -> None:
    out = rxpool_command(*arguments)
    assert out.returncode == 2
    assert message in out.stderr


def test_a_mistyped_metric_costs_one_replication(rxpool_command: Command, small_file: Path) -> None:
    ring = ["--vary", "nics.nic0.rx_ring=64,128,256"]
    for arguments in (
        ["sweep", small_file, *ring, "--metric", "helld_max"],
        ["tune", small_file, *ring, "--minimise", "helld_max"],
        ["compare", small_file, "--policy", "pass", "--policy", "drop", "--metric", "helld_max"],
    ):
        out = rxpool_command(*arguments, "--out", arguments[0])
        assert out.returncode == 2
        assert "the nearest is 'held_max'" in out.stderr
        assert len(list((small_file.parent / arguments[0]).rglob("[0-9]*.parquet"))) == 1


def test_precision_of_a_metric_that_is_always_zero_is_a_bound(rxpool_command: Command, small_file: Path) -> None:
    out = rxpool_command("run", small_file, "--policy", "drop", "--precision", "5%", "--metric", "packets.delivered")
    assert out.returncode == 0, out.stderr
    assert re.fullmatch(r"rxpool: small-\w+: packets\.delivered: 0 in all \d+ replications: .*\n", out.stderr)


def test_one_replication_of_two_policies_is_not_called_insignificant(rxpool_command: Command, small_file: Path) -> None:
    policies = ["--policy", "pass", "--policy", "drop"]
    out = rxpool_command("compare", small_file, *policies)
    assert out.returncode == 0
    assert "one replication: nothing can be tested, give --replications" in out.stdout
    assert "significant" not in out.stdout
    value = json.loads(rxpool_command("compare", small_file, *policies, "--format", "json").stdout)
    assert value["notes"] == []  # the policies alone differ
    assert {row["significant"] for row in value["differences"]} == {None}


def test_what_is_not_steady_is_said_by_every_verb(
    rxpool_command: Command, tmp_path: Path, small: dict[str, Any]
) -> None:
    (tmp_path / "claim.json").write_text(json.dumps({**small, "analysis": "steady", "record": {"every_us": 0}}))
    said = "steady state is claimed but not checked"
    for verb in (
        ["compare", "claim.json", "--policy", "pass", "--policy", "drop"],
        ["sweep", "claim.json", "--vary", "nics.nic0.rx_ring=64,128"],
        ["tune", "claim.json", "--vary", "nics.nic0.rx_ring=64,128", "--minimise", "sum:posted", "--trials", "1"],
    ):
        for form in ("table", "json", "csv"):
            out = rxpool_command(*verb, "--format", form)
            assert out.returncode == 0, out.stderr
            assert said in out.stdout, (verb, form)


def test_a_crash_is_not_a_difference(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        raise ZeroDivisionError("x")

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == ExitCode.INTERNAL
    assert "internal error: ZeroDivisionError: x; please report it" in capsys.readouterr().err


def test_a_precision_that_was_not_reached_is_said(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    result = rxpool.run({**small, "duration_ms": 0.3}, replications=3)
    say_precision("packets.delivered", Precision(1e-6), result)
    assert re.search(r"packets\.delivered: reached ± .*% with 3 replications, not 0\.00%", capsys.readouterr().err)
    say_precision("packets.delivered", Precision(1.0), result)
    assert capsys.readouterr().err == ""


def test_a_scenario_in_place_of_runs_is_told_from_a_run(rxpool_command: Command, small_file: Path) -> None:
    done = rxpool_command("compare", small_file, small_file)
    assert done.returncode == 2
    assert "small.json is a scenario: give two and more --policy" in done.stderr
