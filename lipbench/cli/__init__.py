"""The command line: one file per command, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from typing import Any

import click

from lipbench import __version__
from lipbench.core.errors import LipbenchError, Remark
from lipbench.core.renames import RenameWarning
from lipbench.core.system import Terminated, ends_like_ctrl_c

#: command -> one line for `lipbench --help`; the module lipbench.cli.<command> holds a click command `main`.
COMMANDS = {
    "run": "Benchmark methods on dubbed clips.",
    "score": "Measure one video.",
    "dub": "Dub one video with one method.",
    "table": "Print a run's comparison table.",
    "compare": "Show what changed between two runs.",
    "curve": "A metric over training length, cost or AV offset.",
    "figure": "Draw frames side by side: mouths, sounds, blinks.",
    "video": "Write side-by-side videos of a run, one per clip and dub.",
    "report": "Write a page about a run: tables, curves, videos side by side.",
    "site": "Write a leaderboard of many runs as static pages.",
    "gate": "Pass or fail: a run against a stored baseline.",
    "trend": "Keep a history of runs and draw it.",
    "cache": "Show and shrink what all run directories share.",
    "explain-score": "Say which convention moves which number by how much.",
    "explain": "Show what a key stands for, or how two differ.",
    "list": "List methods, metrics, data sets, sync models or trainers.",
    "data": "Check, show and build manifests and data sets.",
    "weights": "List, fetch, add and check network weights.",
    "export": "Write what methods get, for one that runs elsewhere.",
    "method": "Make what an external method needs: its code, its environment.",
    "doctor": "Show what this machine has; try a method on a tiny clip.",
    "train": "Train a network that the metrics or methods use.",
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is called: --help stays fast and free of torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # not list(): that name is the command's module once lipbench.cli.list is imported

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"lipbench.cli.{name.replace('-', '_')}").main
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with ends_like_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            # click would exit with 1, which here means a regression.
            click.echo("\nstopped; what is finished is kept, the same command goes on from there", err=True)
            ctx.exit(128 + (stop.number if isinstance(stop, Terminated) else signal.SIGINT))


#: Anything but "" or "0" in it: unexpected errors, and expected ones too, are shown with their traceback.
TRACEBACK = "LIPBENCH_TRACEBACK"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lipbench")
@click.option("-v", "--verbose", is_flag=True, help=f"Show the traceback of errors (or set {TRACEBACK}=1).")
@click.pass_context
def group(ctx: click.Context, verbose: bool) -> None:
    """Evaluate and benchmark lip-sync and visual dubbing methods."""
    if verbose:
        ctx.ensure_object(dict)["traceback"] = True


def main(args: list[str] | None = None) -> None:
    """Entry point: every error is told in at most three lines on stderr, without a traceback unless one is asked for.

    Expected errors end with their own exit code, all others with 5.
    """
    asked = {"traceback": os.environ.get(TRACEBACK, "0") not in ("", "0")}
    try:
        with _Remarks():
            group.main(args=args, prog_name="lipbench", standalone_mode=True, obj=asked)
    except BrokenPipeError:
        sys.exit(0)
    except LipbenchError as error:
        _tell(asked["traceback"], error.what, error.why, error.fix)
        sys.exit(error.exit_code)
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        _tell(
            asked["traceback"],
            f"unexpected {type(error).__name__}: {first}",
            "lipbench did not foresee this",
            f"to see where it happened, run the command again with {TRACEBACK}=1 (or `lipbench -v COMMAND ...`)",
        )
        sys.exit(5)


class _Remarks(warnings.catch_warnings):
    """While it lasts, our warnings for users are shown as one plain line, all others as ever."""

    def __enter__(self) -> None:
        super().__enter__()
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, RenameWarning | Remark):
                click.echo(f"remark: {message}", err=True)
            else:
                others(message, category, *place, **more)

        warnings.showwarning = show


def _tell(with_traceback: bool, what: str, why: str, fix: str) -> None:
    if with_traceback:
        import traceback

        click.echo(traceback.format_exc(), err=True, nl=False)
    click.echo(f"error: {what}", err=True)
    for line in (why, fix):
        if line:
            click.echo(f"       {line}", err=True)
