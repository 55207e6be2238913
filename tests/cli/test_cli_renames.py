"""What was called otherwise is still understood, and the user is told the present name."""

from __future__ import annotations

import importlib
import json

import click
import pytest
from click.testing import CliRunner

from lipbench.cli import list as cli_list
from lipbench.cli.renames import former_option
from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.renames import RenameWarning
from lipbench.engine.config import parse_run_file
from lipbench.metrics.sync import SyncOptions
from lipbench.reports.frame import load_run


def test_a_run_file_may_say_judge():
    with pytest.warns(RenameWarning, match="the field 'judge' is called 'sync_model' now"):
        config = parse_run_file({"manifest": "demo", "methods": ["dubbed"], "judge": "demo"}, "here")
    assert config.sync_model == "demo"


def test_both_names_are_a_mistake():
    with pytest.raises(Exception, match="judge"):
        parse_run_file({"manifest": "demo", "methods": ["dubbed"], "judge": "demo", "sync_model": "demo"}, "here")
    with pytest.raises(UsageError, match="judge"):
        SyncOptions.parse({"judge": "demo", "sync_model": "demo"})


def test_an_option_may_be_called_judge():
    with pytest.warns(RenameWarning, match="the option 'judge'"):
        assert SyncOptions.parse({"judge": "demo"}).sync_model == "demo"


def test_list_judges():
    with pytest.warns(RenameWarning, match="sync-models"):
        old = CliRunner().invoke(cli_list.main, ["judges", "--json"])
    new = CliRunner().invoke(cli_list.main, ["sync-models", "--json"])
    assert json.loads(old.stdout) == json.loads(new.stdout)


@click.command()
@click.option("--sync-model")
@former_option("--judge", "--sync-model")
def command(sync_model: str | None) -> None:
    click.echo(str(sync_model))


@pytest.mark.parametrize(("args", "answer"), [([], "None"), (["--sync-model", "a"], "a")])
def test_the_present_option(args, answer):
    assert CliRunner().invoke(command, args).output.strip() == answer


def test_the_former_option():
    with pytest.warns(RenameWarning, match="'--judge' is called '--sync-model'"):
        assert CliRunner().invoke(command, ["--judge", "a"]).stdout.strip() == "a"
    both = CliRunner().invoke(command, ["--judge", "a", "--sync-model", "b"])
    assert isinstance(both.exception, UsageError)
    assert "--judge" not in CliRunner().invoke(command, ["--help"]).output


@pytest.mark.parametrize("name", ["run", "score"])
def test_commands_take_the_former_option(name):
    command = importlib.import_module(f"lipbench.cli.{name}").main
    assert {"--judge", "--sync-model"} <= {opt for parameter in command.params for opt in parameter.opts}


def test_runs_of_before_are_read(tmp_path):
    about = {"schema": 1, "name": "old", "judge": "demo", "protocol": "cropped", "metrics": [], "methods": []}
    (tmp_path / "run.json").write_text(json.dumps(about))
    (tmp_path / "cells.jsonl").write_text("")
    assert load_run(tmp_path).sync_model == "demo"


@pytest.mark.parametrize("method", ["lipnerf", "ad-nerf"])
def test_a_parser_may_be_called_colour(method):
    params = registry.load("methods", method).spec.params
    with pytest.warns(RenameWarning, match="parser 'colour' is called 'color' now"):
        assert params(parser="colour").parser == "color"


def test_clamp_expression_was_called_familiar():
    params = registry.load("methods", "lipnerf").spec.params
    with pytest.warns(RenameWarning, match="parameter 'familiar' is called 'clamp_expression' now"):
        assert params(familiar=False) == params(clamp_expression=False)
