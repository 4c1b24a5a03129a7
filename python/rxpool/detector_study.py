"""Which working-set detector is best, on workloads that it was not tuned on?

Twelve workloads in two halves. All settings of all detectors watch the same run beside each other, so a workload is run
once per replication. Each kind's setting is chosen on one half by its mean error and scored on the other half, then the
halves change places (docs/control.md). Scores are means over workloads of one replication; intervals are over
replications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from rxpool.running import run_scenarios
from rxpool.scenario import Scenario, load
from rxpool.shipped import shipped_folder
from rxpool.statistics import mean_interval

if TYPE_CHECKING:
    import pandas as pd

QUEUE = "nics.nic0.rx_queues.rx0"
SCORES = {
    "error_share": "distance of estimate and truth, over the truth",
    "delay_ms": "from a change of the truth to a right estimate",
    "false_steady": "% of the time that it claims to be steady at a wrong estimate",
    "above": "page-seconds above the truth",
}

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "jiffies_counter": [{"jiffies": n} for n in (10, 30, 100)],
    "no_refill": [{"quiet_ms": t} for t in (5, 20, 60)],
    "ewma": [{"time_constant_ms": t} for t in (5, 20, 60)],
    "window_quantile": [{"window_ms": t} for t in (20, 50, 100)],
    "cusum": [{"learn_ms": t} for t in (5, 20, 60)],
    "kalman": [{"horizon_ms": t} for t in (5, 20, 60)],
}
"""The settings that each kind is tried with."""

_PAUSES = {"gc": {"at_ms": 50, "for_ms": 10, "every_ms": 100}}


def _workload(traffic: Mapping[str, Any], reader: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    load_of = {
        "nic": "nic0",
        "kind": "poisson",
        "rate_pps": 150_000,
        "sizes": 256,
        "flows": {"count": 200, "destination_ports": "4000"},
    }
    return {
        "duration_ms": 600,
        "cpus": {"cpu0": {}, "cpu1": {}},
        "kernel": {"rmem_max": 67_108_864},
        "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
        "sockets": {"service": {"port": 4000, "cpu": "cpu1", "rcvbuf": 67_108_864, "reader": dict(reader or {})}},
        "traffic": {"load": load_of | dict(traffic)},
    } | more


def workloads() -> dict[str, dict[str, Any]]:
    """The twelve, by name; the first six are one half, the last six the other."""
    batch = {"service_ns": 2000, "batch": 32}
    step = {"up": {"at_ms": 200, "factor": 2.5}, "down": {"at_ms": 400, "factor": 1}}
    ramp = {"from": {"at_ms": 100, "factor": 1, "ramp": True}, "to": {"at_ms": 500, "factor": 3}}
    two_queues = {
        "cpus": {"cpu0": {}, "cpu1": {}, "cpu2": {}},
        "nics": {
            "nic0": {
                "driver": "mlx5",
                "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu2"}},
                "rss": {"indirection": {"rx0": 3, "rx1": 1}},
            }
        },
    }
    tcp = {
        "nic": "nic0",
        "kind": "tcp",
        "flows": {"count": 8, "destination_ports": "80"},
        "path": {"rtt_us": 2000, "rate_gbps": 1},
    }
    tcp_mix = _workload({"rate_pps": 50_000})
    tcp_mix["traffic"]["tcp"] = tcp
    tcp_mix["sockets"]["web"] = {"protocol": "tcp", "port": 80, "cpu": "cpu1"}
    replay = _workload({"rate_pps": 50_000}, {"service_ns": 4000, "batch": 8})
    replay["traffic"]["capture"] = {
        "nic": "nic0",
        "kind": "pcap",
        "file": f"{shipped_folder()}/traces/netns-tcp-udp.pcap",
        "time_scale": 0.01,
        "loop": True,
    }
    replay["sockets"] |= {f"sink{i}": {"port": 5003 + i, "cpu": "cpu1"} for i in range(4)}
    return {
        "steady": _workload({}, batch),
        "step": _workload({"schedule": step}, batch),
        "burst": _workload({"kind": "on_off", "on_mean_us": 2000, "off_mean_us": 8000}, {"rate_pps": 300_000}),
        "consumer_pause": _workload({}, {"pauses": {"gc": {"at_ms": 150, "for_ms": 40, "every_ms": 200}}}),
        "tcp_mix": tcp_mix,
        "queue_skew": _workload({"rate_pps": 200_000}, {"service_ns": 3000}, **two_queues),
        "ramp": _workload({"schedule": ramp}, {"rate_pps": 300_000}),
        "periodic": _workload({}, {"pauses": _PAUSES}),
        "heavy_tailed": _workload(
            {"kind": "on_off", "periods": "pareto", "on_mean_us": 1000, "off_mean_us": 3000}, {"rate_pps": 250_000}
        ),
        "incast": _workload({"kind": "incast", "incast_senders": 32, "incast_frames": 16}, {"service_ns": 1000}),
        "near_saturation": _workload(
            {"rate_pps": 200_000}, {"service_ns": 3800, "service_law": "exponential", "batch": 16}
        ),
        "capture_replay": replay,
    }


def setting_name(kind: str, index: int) -> str:
    """Name of a detector's setting among the settings of its kind."""
    return f"{kind}_{index}"


def scenario(workload: Mapping[str, Any]) -> Scenario:
    """A workload watched by every setting of every detector."""
    detectors = {
        setting_name(kind, index): {"kind": kind} | setting
        for kind, settings in SETTINGS.items()
        for index, setting in enumerate(settings)
    }
    control = {
        "period_us": 1000,
        "signal": {"period_us": 1000},
        "detectors": detectors,
        "score": {"enabled": True, "window_ms": 20},
    }
    return load(dict(workload) | {"control": control, "record": {"latency": False}}, allow_path=True)


def scores(
    chosen: Mapping[str, Mapping[str, Any]],
    replications: int = 3,
    *,
    executor: Executor | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """One row per workload, replication, kind and setting, with the four scores."""
    import pandas as pd

    names = list(chosen)
    runs = [load(scenario(chosen[name]), replications=replications, allow_path=True) for name in names]
    rows = []
    for name, result in zip(names, run_scenarios(runs, executor=executor, jobs=jobs), strict=True):
        metrics = result.metrics
        metrics = metrics[metrics["component"].str.startswith(f"{QUEUE}.detectors.")]
        for (replication, component), own in metrics.groupby(["replication", "component"]):
            values = own.set_index("metric")["value"]
            kind, _, index = str(component).rsplit(".", 1)[1].rpartition("_")
            rows.append(
                {
                    "workload": name,
                    "replication": replication,
                    "kind": kind,
                    "setting": int(index),
                    "error_share": values["working_set_error_share"],
                    "delay_ms": values["working_set_delay"],
                    "false_steady": values["working_set_false_steady"],
                    "above": values["working_set_above"],
                }
            )
    return pd.DataFrame(rows)


def choose(rows: pd.DataFrame) -> dict[str, int]:
    """For each kind the setting with the smallest mean error over these workloads."""
    means = rows.groupby(["kind", "setting"])["error_share"].mean().reset_index()
    best = means.loc[means.groupby("kind")["error_share"].idxmin()]
    return dict(zip(best["kind"], best["setting"], strict=True))


def cross_scored(rows: pd.DataFrame, halves: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Rows of each half, of the settings that were chosen on the other."""
    import pandas as pd

    parts = []
    for tuned_on, scored_on in (halves, halves[::-1]):
        settings = choose(rows[rows["workload"].isin(tuned_on)])
        own = rows[rows["workload"].isin(scored_on)]
        parts.append(own[own["setting"] == own["kind"].map(settings)])
    return pd.concat(parts, ignore_index=True)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of each score per kind with its 95 % interval over replications."""
    import pandas as pd

    made = []
    for kind, own in rows.groupby("kind"):
        row: dict[str, Any] = {"detector": kind}
        for score in SCORES:
            means = own.groupby("replication")[score].mean()
            interval = mean_interval(means.to_numpy())
            row |= {score: interval.estimate, f"{score}_low": interval.low, f"{score}_high": interval.high}
        made.append(row)
    return pd.DataFrame(made).sort_values("error_share", ignore_index=True)


def markdown(rows: pd.DataFrame, score: str = "error_share") -> str:
    """One score of every kind on every workload, with 95 % intervals over replications, as docs/control.md has it."""
    kinds = [kind for kind in SETTINGS if (rows["kind"] == kind).any()]
    lines = ["| workload | " + " | ".join(f"`{kind}`" for kind in kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for workload, own in rows.groupby("workload", sort=False):
        cells = [_cell(own[own["kind"] == kind], score) for kind in kinds]
        lines.append("| " + " | ".join([str(workload).replace("_", " "), *cells]) + " |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame, score: str) -> str:
    means = rows.groupby("replication")[score].mean().dropna().to_numpy()
    if len(means) == 0:
        return "–"
    interval = mean_interval(means)
    return f"{interval.estimate:.2f} ({interval.low:.2f} … {interval.high:.2f})"
