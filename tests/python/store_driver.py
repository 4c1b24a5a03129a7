"""Runs a made scenario into a store, slowly; started by test_store.py so that it can be killed.

Arguments: store, number of replications, seconds per replication. Every replication that is run is noted in a file
beside the store.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rxpool.study
from made_records import made_replication, made_scenario
from rxpool.errors import InputError
from rxpool.store import Store


def main() -> int:
    store, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

    def run_one(scenario: object, index: int, progress: object = None) -> object:
        time.sleep(seconds)
        with store.with_name("ran").open("a") as log:
            log.write(f"{index}\n")
        return made_replication(index, samples=200)

    rxpool.study.run_one = run_one  # type: ignore[assignment]
    rxpool.study.check_memory = lambda *_: None
    rxpool.study.run_context = lambda replications: {"cpu_seconds": {}}
    try:
        rxpool.study.run_stored([made_scenario(count)], Store(store))
    except InputError as error:
        print(error, file=sys.stderr)
        return int(error.code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
