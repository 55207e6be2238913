"""lipbench train: fit the networks that the package carries small versions of."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lipbench.core import registry
from lipbench.core.devices import VARIABLE, choose_device
from lipbench.core.errors import UsageError
from lipbench.core.training import CHECKPOINT, Budget, Request, train


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--data", help="Manifest to train on; generated people without it.")
@click.option("--config", default="demo", show_default=True, help="demo (small) or official (published size).")
@click.option("--steps", type=int, help="Steps in all; resumes exactly.")
@click.option("--seconds", type=float, help="Wall-clock budget in all.")
@click.option("--seed", default=0, show_default=True)
@click.option("--data-seed", type=int, help="Of generated data. [default: the seed]")
@click.option("--device", default="cpu", envvar=VARIABLE, show_default=True, help="cpu, cuda, cuda:N, mps or auto.")
@click.option("--workers", default=1, show_default=True, help="Processes that prepare data.")
@click.option("--threads", default=1, show_default=True, help="CPU threads of the network.")
@click.option("--identities", type=int, help="Generated people.")
@click.option("--clips", type=int, help="Generated clips of each.")
@click.option("--espeak", type=float, help="Share of clips led by espeak-ng voices (extra `speech`).")
@click.option("--validate-every", default=100, show_default=True)
@click.option("--patience", default=0, show_default=True, help="Early stop after so many worse validations; 0: never.")
@click.option("--resume", is_flag=True, help="Insist on going on; fails where there is nothing to go on from.")
@click.option("--fresh", is_flag=True, help="Begin again although the folder holds a run.")
@click.option("--json", "as_json", is_flag=True, help="Print the end state as JSON.")
def main(
    name: str,
    out: Path,
    data: str | None,
    config: str,
    steps: int | None,
    seconds: float | None,
    seed: int,
    device: str,
    workers: int,
    threads: int,
    data_seed: int | None,
    identities: int | None,
    clips: int | None,
    espeak: float | None,
    validate_every: int,
    patience: int,
    resume: bool,
    fresh: bool,
    as_json: bool,
) -> None:
    """Train NAME; a killed run goes on with the same command.

    NAME: one of `lipbench list trainers`.
    """
    if name not in registry.names("trainers"):
        raise registry.unknown("trainers", name, registry.names("trainers"))
    if steps is None and seconds is None:
        raise UsageError("the training has no end", "neither --steps nor --seconds is given", "use --seconds 120")
    if resume and not (out / CHECKPOINT).exists():
        raise UsageError(f"there is nothing to go on from in {out}", "it holds no checkpoint", "leave out --resume")
    import torch

    torch.set_num_threads(threads)

    def log(line: str) -> None:
        click.echo(line, err=True)

    device = choose_device("cuda", device, log)
    given = {"identities": identities, "clips": clips, "espeak": espeak, "data_seed": data_seed}
    options = {key: value for key, value in given.items() if value is not None}
    make = registry.load("trainers", name)
    training = make(Request(out, data, config, seed, device, workers, options, log))
    budget = Budget(steps, seconds, validate_every=validate_every, patience=patience)
    end = train(training, out, budget, seed=seed, fresh=fresh, log=log)
    if as_json:
        click.echo(json.dumps(asdict(end), indent=1))
    else:
        click.echo(f"{out}: step {end.step}, {end.elapsed_s:.0f} s, stopped by {end.stopped}")
