"""lipbench cache: what all run directories share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from lipbench.core.shared import Entry, SharedCache


@click.group(name="cache")
def main() -> None:
    """Show, check and shrink the cache that all run directories share.

    It lies where LIPBENCH_CACHE says, and keeps as much as LIPBENCH_CACHE_LIMIT says. Everything in it can be deleted:
    what a run needs again it makes again.
    """


def _cache() -> SharedCache:
    from lipbench.core.shared import cache_of_user

    found = cache_of_user()
    if found is None:
        raise UsageError("there is no cache", "LIPBENCH_CACHE is off", "unset it, or let it name a folder")
    return found


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def show(as_json: bool) -> None:
    """What the cache holds: results and bytes by kind of stage, and where they are."""
    cache = _cache()
    entries = [*cache.entries()]
    answer: dict[str, Any] = {"folder": str(cache.folder), "limit": cache.limit, **_sums(entries), "kinds": {}}
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        record = None if cache.store is None else cache.store.get(entry.key)
        by_kind.setdefault("damaged" if record is None else record.kind, []).append(entry)
    answer["kinds"] = {kind: _sums(found) for kind, found in sorted(by_kind.items())}
    if as_json:
        click.echo(json.dumps(answer, indent=1))
        return
    limit = "no limit" if cache.limit is None else f"limit {megabytes(cache.limit)}"
    click.echo(f"{cache.folder}: {answer['results']:,} results, {megabytes(answer['bytes'])}; {limit}")
    for kind, sums in answer["kinds"].items():
        click.echo(f"  {kind:<12}{sums['results']:>8,}{megabytes(sums['bytes']):>14}")
    if answer["shared"]:
        click.echo(f"{megabytes(answer['shared'])} are links: run directories hold the same files")
    if entries:
        oldest = datetime.fromtimestamp(min(entry.used for entry in entries), tz=timezone.utc)
        click.echo(f"used last between {oldest:%Y-%m-%d} and now")


def _sums(entries: Iterable[Entry]) -> dict[str, int]:
    sums: Counter[str] = Counter(results=0, bytes=0, shared=0)
    for entry in entries:
        sums.update(results=1, bytes=entry.n_bytes, shared=entry.shared)
    return dict(sums)


def megabytes(n_bytes: int) -> str:
    """A size for people."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


@main.command()
@click.option("--to", metavar="SIZE", help="Leave this much, e.g. 5GB. [default: LIPBENCH_CACHE_LIMIT]")
@click.option("--all", "everything", is_flag=True, help="Leave nothing.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def prune(to: str | None, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Delete the least used results until no more than the limit is left.

    Run directories keep their own links and copies. Files that they hold as links free no space here.
    """
    from lipbench.core.shared import size

    cache = _cache()
    if everything and to is not None:
        raise UsageError("--all and --to exclude each other", "--all leaves nothing", "give one of them")
    limit = 0 if everything else cache.limit if to is None else size(to, "--to")
    gone = [] if limit is None else cache.prune(limit, dry=dry_run)
    sums = _sums(gone)
    if as_json:
        click.echo(json.dumps({"folder": str(cache.folder), "dry_run": dry_run, **sums}))
        return
    verb = "would go" if dry_run else "deleted"
    click.echo(f"{verb}: {sums['results']:,} results, {megabytes(sums['bytes'])} ({megabytes(sums['shared'])} links)")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def verify(as_json: bool) -> None:
    """Read everything in the cache; what is not what was written goes, and its stage runs again when it is needed."""
    from lipbench.core.verify import Verification
    from lipbench.core.verify import verify as read

    cache = _cache()
    found = Verification()
    if cache.store is not None and cache.folder.is_dir():
        cache.store.begin()
        found = read(cache.store)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    click.echo(found.text())
