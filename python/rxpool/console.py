"""What the command writes where: results, errors, exit codes."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from rxpool.errors import ExitCode, InputError, InternalError
from rxpool.interrupt import remember_interrupts
from rxpool.plain import finite, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from rxpool.result import Result

P = ParamSpec("P")

PIPE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""


class OutputFormat(StrEnum):
    """What ``--format`` may be."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turns the errors of a command into one line on stderr and the right exit code."""

    @functools.wraps(command)
    def inner(*args: P.args, **kwargs: P.kwargs) -> None:
        remember_interrupts()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except InputError as error:
            message(str(error))
            raise typer.Exit(error.code) from None
        except InternalError as error:
            message(f"internal error: {error}; please report it with the scenario and its seed")
            raise typer.Exit(ExitCode.INTERNAL) from None
        except KeyboardInterrupt:
            message("interrupted; finished replications are kept, run again to go on")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has enough; Python must not complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.DONE) from None
        except MemoryError:
            message("out of memory; use fewer --jobs, a shorter run or a larger record.every_us")
            raise typer.Exit(ExitCode.LIMIT) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # exit code 1 would say that a difference was found
            traceback.print_exc()
            message(f"internal error: {type(error).__name__}: {error}; please report it with the command")
            raise typer.Exit(ExitCode.INTERNAL) from None

    return inner


def agree(change: str, yes: bool) -> None:
    """Asks whether something of this host may be changed. Raises :class:`InputError` unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{change}: there is nobody to ask; say --yes")
    sys.stderr.write(f"{printable(change)}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("nothing was changed")


def message(text: str) -> None:
    """One line on stderr; control characters are written as escapes."""
    print(f"rxpool: {printable(text)}", file=sys.stderr)


def stdout_console() -> Console:
    """The console for tables: the terminal's width, or a fixed one on a pipe; honours NO_COLOR."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False, soft_wrap=False
    )


def write_out(result: Result, format: OutputFormat) -> None:
    """Prints a result in one of the formats."""
    match format:
        case OutputFormat.TABLE:
            from rxpool.table import print_result

            print_result(stdout_console(), result)
        case OutputFormat.JSON:
            sys.stdout.write(result.to_json() + "\n")
        case OutputFormat.CSV | OutputFormat.PARQUET:
            write_frame(result.metrics, format, result.warnings)


def write_study(
    format: OutputFormat,
    *,
    table: Callable[[Console], None],
    plain: Callable[[], Any],
    frame: Callable[[], pd.DataFrame],
    warnings: Sequence[str] = (),
) -> None:
    """Prints what a verb found in one of the formats; only the one that is asked for is made."""
    match format:
        case OutputFormat.TABLE:
            table(stdout_console())
        case OutputFormat.JSON:
            print_json(plain())
        case OutputFormat.CSV | OutputFormat.PARQUET:
            write_frame(frame(), format, warnings)


def write_frame(frame: pd.DataFrame, format: OutputFormat, warnings: Sequence[str] = ()) -> None:
    """Prints a frame as CSV or Parquet; what nobody has calibrated, and other warnings, in columns of their own."""
    from rxpool.result import uncalibrated

    if prices := uncalibrated(warnings):
        frame = frame.assign(calibration=prices)
    if others := [w for w in warnings if not uncalibrated([w])]:
        frame = frame.assign(warnings="; ".join(others))
    if format is OutputFormat.CSV:
        frame.to_csv(sys.stdout, index=False)
        return
    if sys.stdout.isatty():
        raise InputError("--format parquet writes binary data: send it to a file or a pipe")
    import pyarrow as pa

    from rxpool.store import parquet_bytes

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sys.stdout.buffer.write(parquet_bytes(table))
    sys.stdout.buffer.flush()


def print_json(value: Any) -> None:
    """Prints a value as indented JSON; numbers that are not finite become null."""
    sys.stdout.write(json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
