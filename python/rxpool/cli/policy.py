"""The commands about one policy object: check and run."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rxpool.cli.options import app
from rxpool.console import guarded, message, print_json, stdout_console
from rxpool.errors import InputError
from rxpool.plain import printable

if TYPE_CHECKING:
    from rxpool.policy import Policy

policy_app = typer.Typer(
    no_args_is_help=True,
    help="Look at a policy object, or run it on packets.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(policy_app, name="policy")


class PolicyFormat(StrEnum):
    """What ``--format`` of the policy commands may be."""

    TABLE = "table"
    JSON = "json"


class Backend(StrEnum):
    """Where ``policy run`` runs the program."""

    SIM = "sim"
    KERNEL = "kernel"


ObjectArgument = Annotated[
    str,
    typer.Argument(metavar="OBJ", help="A .bpf.o or .bpf.c file, or a shipped policy's name.", show_default=False),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=NUMBER", help="Set one const volatile variable of the program."),
]
ProgramOption = Annotated[
    str, typer.Option("--program", metavar="NAME", help="Entry of its hook, where the object has several.")
]
PolicyFormatOption = Annotated[PolicyFormat, typer.Option("--format", "-f", help="What is printed on stdout.")]


@policy_app.command()
@guarded
def check(
    object: ObjectArgument,
    param: ParamOption = None,
    program: ProgramOption = "",
    format: PolicyFormatOption = PolicyFormat.TABLE,
    dot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the control-flow graph there (Graphviz; - for stdout).")
    ] = None,
) -> None:
    """Say what a policy needs, what each backend can give, and what is wrong with it."""
    from rxpool import policy_report

    policy = _load(object, param, program)
    if dot is not None:
        graph = policy.dot(program or None)
        if str(dot) == "-":
            sys.stdout.write(graph)
            return
        from rxpool.files import write_atomic

        write_atomic(dot, graph.encode())
    found = policy_report.check(policy)
    if format is PolicyFormat.JSON:
        print_json(found)
    else:
        _print_check(found)


@policy_app.command()
@guarded
def run(
    object: ObjectArgument,
    packet: Annotated[Path, typer.Option(metavar="FILE.pcap", help="Ethernet frames to run it on (pcap, pcapng).")],
    backend: Annotated[Backend, typer.Option(help="The simulator's machine, or this machine's kernel.")] = Backend.SIM,
    repeat: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="Run each frame so often.")] = 1,
    hook: Annotated[str, typer.Option(help="xdp, xdp/devmap or xdp/cpumap.")] = "xdp",
    param: ParamOption = None,
    program: ProgramOption = "",
    format: PolicyFormatOption = PolicyFormat.TABLE,
) -> None:
    """Run a policy on the frames of a capture and print verdicts and maps."""
    from rxpool import policy_report

    if hook not in ("xdp", "xdp/devmap", "xdp/cpumap"):
        raise InputError(f"--hook {hook}: packets go to xdp, xdp/devmap or xdp/cpumap")
    policy = _load(object, param, program)
    frames = policy_report.Frames.read(str(packet))
    if frames.cut:
        message(f"{packet}: {frames.cut} of {len(frames.frames)} frames were captured in part; run on what is there")
    runner = policy_report.run_kernel if backend is Backend.KERNEL else policy_report.run_sim
    done = runner(policy, frames, repeat, hook)
    if format is PolicyFormat.JSON:
        print_json(done)
    else:
        _print_run(done)


def _load(source: str, params: list[str] | None, program: str) -> Policy:
    from rxpool.policy import Policy
    from rxpool.scenario import parse_set

    knobs = {}
    for name, value in parse_set(params or []).items():
        if not isinstance(value, int):
            raise InputError(f"--param {name}={value}: a program's variables are whole numbers")
        knobs[name] = int(value)
    return Policy.load(source, params=knobs, program=program)


def _print_check(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    console.print(f"{printable(found['policy'])}  license {printable(found['license'] or 'none')}")
    for program in found["programs"]:
        table = Table(box=None, show_header=False, pad_edge=False, title_justify="left")
        table.add_column(no_wrap=True)
        table.add_column()
        needs = program["needs"]
        rows = {
            "program": f"{program['name']}, hook {program['hook']}, {program['instructions']} instructions, "
            f"{program['functions']} functions" + (", entry" if program["entry"] else ""),
            "helpers": ", ".join(needs["helpers"]) or "none",
            "kfuncs": ", ".join(needs["kfuncs"]) or "none",
            "maps": ", ".join(needs["maps"]) or "none",
            "sim gives": program["sim"],
            "kernel gives": program["kernel_gives"],
            "kernel:": program["kernel"],
        }
        for name, value in rows.items():
            table.add_row(name, Text(printable(value)))
        console.print()
        console.print(table)
    if found["maps"]:
        table = Table(box=None, pad_edge=False)
        for column in ("map", "type", "key B", "value B", "entries"):
            table.add_column(column, justify="left" if column in ("map", "type") else "right")
        for entry in found["maps"]:
            table.add_row(*(printable(str(v)) for v in entry.values()))
        console.print()
        console.print(table)
    if found["params"]:
        console.print()
        console.print("params: " + ", ".join(f"{printable(k)}={v}" for k, v in found["params"].items()))
    console.print()
    for line in found["findings"]:
        console.print(f"finding: {printable(line)}")
    if not found["findings"]:
        console.print("no findings")


def _print_run(done: dict[str, Any]) -> None:
    from rich.table import Table

    console = stdout_console()
    times = f" x {done['repeat']}" if done["repeat"] > 1 else ""
    console.print(f"{printable(done['program'])} on {done['backend']}: {done['packets']} packets{times}")
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict")
    table.add_column("packets", justify="right")
    for verdict, count in done["verdicts"].items():
        table.add_row(verdict, str(count))
    console.print(table)
    if "instructions_mean" in done:
        console.print(f"{done['instructions_mean']:.1f} instructions per packet")
    console.print(f"{done['duration_ns_mean']:.0f} ns of this machine per run")
    for reason, count in done.get("aborts", {}).items():
        console.print(f"{count} packets aborted: {reason}")
    if "last_abort" in done:
        console.print("\n".join(printable(line) for line in done["last_abort"].splitlines()))
    for name, content in done["maps"].items():
        console.print()
        console.print(f"map {printable(name)}, {content['type']}, {content['elements']} elements")
        for element in content["content"][:20]:
            key = f"{_plain(element['key'])}: " if "key" in element else ""
            console.print(f"  {key}{_plain(element['value'])}", soft_wrap=True)
        if len(content["content"]) > 20:
            console.print(f"  and {len(content['content']) - 20} more (--format json lists them)")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return printable(", ".join(f"{key}={_plain(part)}" for key, part in value.items()))
    if isinstance(value, list):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return printable(str(value))
