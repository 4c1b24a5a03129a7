#!/usr/bin/env python3
"""Cuts some pools' whole lives out of a guest's log: ``cut_log.py LOG OUTPUT POOL...`` (ids of the kernel).

The numbers of the calls are made consecutive again, so that the piece is a log of its own.
Without POOL, prints every pool with its number of records by kind, to choose from.
``cut_log.py LOG OUTPUT lists`` takes the page list calls around those that changed a list's ``high`` or gave pages.
"""

from __future__ import annotations

import collections
import struct
import sys
from pathlib import Path

HEADER = struct.Struct("<IBBHIIQQQ")  # kernel/guest/pool_log.h: PoolLogHeader
HOLD, BULK = 11, 5
KINDS = {10: "scrub", 11: "hold", 12: "release", 1: "create", 2: "alloc", 3: "frag", 4: "put", 5: "bulk", 8: "destroy"}


def records(log: bytes) -> list[tuple[tuple[int, ...], bytes]]:
    """Header fields and bytes of every record."""
    found, at = [], 0
    while at + HEADER.size <= len(log):
        fields = HEADER.unpack_from(log, at)
        if fields[0] == 0:
            break
        found.append((fields, log[at : at + fields[0]]))
        at += fields[0]
    return found


def around_changes(log: list[tuple[tuple[int, ...], bytes]]) -> list[bytes]:
    """Three calls before each change of ``high`` or each flush to one after it; kernel/guest/list_log.h: ListLogOp."""
    high, given, order = (struct.Struct(f"<{at}xi") for at in (4, 72, 64))
    kept: set[int] = set()
    for i, (_, data) in enumerate(log):
        call = data[HEADER.size :]
        changed = high.unpack_from(call)[0] != high.unpack_from(call, 32)[0]
        if changed or given.unpack_from(call)[0] or order.unpack_from(call)[0]:
            kept.update(range(max(0, i - 3), min(len(log), i + 2)))
    return [log[i][1] for i in sorted(kept)[:900]]


def main() -> int:
    """Command line."""
    log = records(Path(sys.argv[1]).read_bytes()[: 1 << 28])
    if len(sys.argv) < 4:
        by_pool: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for fields, _ in log:
            by_pool[fields[4]][KINDS.get(fields[1], str(fields[1]))] += 1
        for pool, counts in sorted(by_pool.items()):
            print(pool, dict(counts))
        return 0
    if sys.argv[3] == "lists":
        Path(sys.argv[2]).write_bytes(b"".join(around_changes(log)))
        return 0
    pools = {int(p) for p in sys.argv[3:]}
    kept = [(fields, data) for fields, data in log if fields[4] in pools]
    numbers = sorted({n for fields, _ in kept for n in fields[7:9]})
    renumbered = {old: new for new, old in enumerate(numbers)}
    with Path(sys.argv[2]).open("wb") as out:
        for fields, data in kept:
            enter, leave = renumbered[fields[7]], renumbered[fields[8]]
            out.write(HEADER.pack(*fields[:7], enter, leave) + data[HEADER.size :])
    return 0


if __name__ == "__main__":
    sys.exit(main())
