"""What worker processes cost: scaling of two, overhead per task, a thousand short replications, the import.

    .venv/bin/python benchmarks/python/workers.py [replications]

Scaling compares two independent processes with one study on two workers, in turns in one run, so that what else the
machine does weighs on both alike. Overhead is wall time per task beyond the event loop's CPU time, on one worker.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import rxpool
from rxpool.running import process_pool, run_one, run_scenarios

SCENARIO = Path(__file__).parents[2] / "scenarios" / "slow-reader.json"
ALONE = """
import sys, rxpool
from rxpool.running import run_scenarios
changes = {"warmup_ms": 0, "duration_ms": 10.0}
run_scenarios([rxpool.load(sys.argv[1], set=changes, replications=int(sys.argv[2]))])
"""


def short(replications: int, duration_ms: float) -> rxpool.Scenario:
    """Replications of ten simulated milliseconds, or less."""
    return rxpool.load(SCENARIO, set={"warmup_ms": 0, "duration_ms": duration_ms}, replications=replications)


def two_processes(replications: int) -> float:
    """Wall seconds of two processes that know nothing of each other, each with half the replications."""
    command = [sys.executable, "-c", ALONE, str(SCENARIO), str(replications // 2)]
    begin = time.perf_counter()
    for process in [subprocess.Popen(command) for _ in range(2)]:
        process.wait()
    return time.perf_counter() - begin


def two_workers(replications: int) -> float:
    """Wall seconds of one study on two workers, their start included."""
    begin = time.perf_counter()
    run_scenarios([short(replications, 10.0)], jobs=2)
    return time.perf_counter() - begin


def overhead_ms(tasks: int = 300) -> float:
    """Wall time per task beyond the work itself, on one warm worker, tasks handed out one after the other."""
    scenario = short(tasks, 0.05)
    with process_pool(1) as pool:
        pool.submit(run_one, scenario, 0).result()
        begin = time.perf_counter()
        work = sum(pool.submit(run_one, scenario, index).result().loop_cpu_seconds or 0.0 for index in range(tasks))
        return 1000 * (time.perf_counter() - begin - work) / tasks


def main() -> None:
    """Prints the numbers."""
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    ratios = []
    for _ in range(3):
        apart, together = two_processes(replications), two_workers(replications)
        ratios.append(apart / together)
        print(f"{replications} replications of 10 ms: two processes {apart:.1f} s, two workers {together:.1f} s")
    print(f"scaling of two workers: {sorted(ratios)[1]:.2f} of two processes (median of three)")
    print(f"overhead per task: {overhead_ms():.2f} ms")
    command = [
        sys.executable,
        "-c",
        "import time; t = time.perf_counter(); import rxpool; print(time.perf_counter() - t)",
    ]
    times = sorted(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(5))
    print(f"import rxpool: {times[2]:.3f} s (median of five)")


if __name__ == "__main__":
    main()
