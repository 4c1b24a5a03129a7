"""The table of detectors: every workload loads, settings are chosen on one half and scored on the other."""

from __future__ import annotations

import pandas as pd

from rxpool import detector_study


def rows(values: dict[tuple[str, int], float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "workload": workload,
                "replication": replication,
                "kind": "ewma",
                "setting": setting,
                "error_share": error + 0.01 * replication,
                "delay_ms": 1.0,
                "false_steady": 0.0,
                "above": 0.0,
            }
            for (workload, setting), error in values.items()
            for replication in range(3)
        ]
    )


def test_there_are_twelve_workloads_and_all_load() -> None:
    made = detector_study.workloads()
    assert len(made) == 12
    for workload in made.values():
        detectors = detector_study.scenario(workload).resolved["control"]["detectors"]
        assert len(detectors) == sum(len(settings) for settings in detector_study.SETTINGS.values())


def test_a_setting_is_never_scored_where_it_was_chosen() -> None:
    # Setting 0 is best on a, setting 1 on b: each half is scored with the other's choice.
    frame = rows({("a", 0): 0.1, ("a", 1): 0.5, ("b", 0): 0.6, ("b", 1): 0.2})
    scored = detector_study.cross_scored(frame, [["a"], ["b"]])
    assert dict(zip(scored["workload"], scored["setting"], strict=True)) == {"b": 0, "a": 1}
    table = detector_study.table(scored)
    assert table["error_share"][0] == (0.51 + 0.61) / 2
    assert table["error_share_low"][0] < table["error_share"][0] < table["error_share_high"][0]


def test_a_workload_is_scored_for_every_setting() -> None:
    short = {"periodic": detector_study.workloads()["periodic"] | {"duration_ms": 120}}
    frame = detector_study.scores(short, replications=1)
    assert len(frame) == 18
    assert frame["error_share"].notna().all()


def test_the_page_has_a_line_per_workload_with_intervals_over_replications() -> None:
    frame = rows({("near_saturation", 0): 0.1, ("b", 0): 0.6})
    assert detector_study.markdown(frame).splitlines() == [
        "| workload | `ewma` |",
        "|---|---|",
        "| near saturation | 0.11 (0.09 … 0.13) |",
        "| b | 0.61 (0.59 … 0.63) |",
    ]
