"""The shipped situations on this machine's kernel and in the simulator, priced for this host first."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from conftest import ROOT
from kernel_lab import need_lab
from rxpool import ExitCode, InputError, load
from rxpool.kernel import Validation, validate
from steal import undisturbed

SITUATIONS = sorted((ROOT / "scenarios/kernel").glob("*.json"))
MISSES_ALLOWED = 2
LARGE_LEVELS, LARGE_PAGES = 8, 200
STOLEN_PERCENT = 3  # of the CPUs' time while the situations run


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This host's own prices."""
    try:
        need_lab()
    except pytest.skip.Exception as missing:
        pytest.skip(f"{len(SITUATIONS)} situations skipped: {missing.msg}")
    from rxpool.kernel.calibrating import calibrate_this_host

    path = tmp_path_factory.mktemp("calibration") / "here.json"
    calibrate_this_host("here", repeats=3).write(path)
    return path


def validated(calibration: Path, repeats: int) -> tuple[dict[str, Validation], dict[str, str]]:
    """Every situation on both backends; and those that this kernel cannot run, with the reason."""
    done, skipped = {}, {}
    for situation in SITUATIONS:
        scenario = load(situation, set={"calibration": str(calibration)}, allow_path=True)
        try:
            done[situation.stem] = validate(scenario, repeats=repeats)
        except InputError as error:
            if error.code != ExitCode.NOT_AVAILABLE:
                raise
            skipped[situation.stem] = str(error)
    return done, skipped


def guess_is_as_good(one: Validation) -> bool:
    """Whether a guess was as good although there was more to predict than that every buffer is full."""
    pages = one.table[one.table.unit == "pages"]
    return not one.beats_guesses and not (pages.bound <= pages.allowed).all()


def level(one: Validation) -> float:
    """The most pages that the kernel held."""
    return float(one.table.kernel[one.table.quantity.str.endswith("held_max")].max())


@undisturbed(attempts=2, percent=STOLEN_PERCENT)
@pytest.mark.parametrize("repeats", [3, pytest.param(5, marks=pytest.mark.full)])
def test_the_simulator_predicts_what_this_kernel_does_in_all_but_two_situations(
    calibration: Path, repeats: int
) -> None:
    begin = time.monotonic()
    done, skipped = validated(calibration, repeats)
    misses = {name: one.table[~one.table.inside].to_string() for name, one in done.items() if not one.inside}
    beaten = [name for name, one in done.items() if guess_is_as_good(one)]
    levels = {name: level(one) for name, one in done.items()}
    told = "\n".join(f"{name}\n{table}" for name, table in misses.items())
    print(f"{len(done) - len(misses)} of {len(done)} inside, {time.monotonic() - begin:.0f} s\n{told}")
    print(f"{len(skipped)} skipped: {skipped}; a guess was as good in: {beaten}; pages: {levels}")
    assert len(misses) <= MISSES_ALLOWED, told
    assert not beaten, "a guess without a simulator was as good"
    if not skipped:
        assert sum(pages > LARGE_PAGES for pages in levels.values()) >= LARGE_LEVELS, levels
