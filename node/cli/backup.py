"""`cspine-node backup` and `restore`: the state folder copied while the node runs, and put back."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.bootstrap.state import local_journal, require_journal
from node.cli.options import ERRORS, AsJson, Config
from node.errors import JournalDamaged
from node.recovery import Wanted, back_up
from node.recovery import restore as put_back
from node.settings import load_settings


def backup(
    target: Annotated[Path, typer.Argument(help="The backup: a folder that is not there yet.")],
    config: Config,
    base: Annotated[
        Path | None, typer.Option("--base", help="An earlier backup on the same disk: what it has is linked from it.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy also what could be a hard link.")] = False,
    as_json: AsJson = False,
) -> None:
    """Back up journal, received files, results and models, and read the backup back. The node may run meanwhile.

    On the disk of the state folder received files and results become hard links; copy such a backup to another machine.
    A journal in PostgreSQL is not in it: dump the database first (pg_dump), then run this.
    """
    settings = load_settings(config)
    require_journal(settings)
    os.umask(0o077)
    wanted = Wanted(
        state_dir=settings.node.state_dir,
        journal=None if settings.journal.url else local_journal(settings),
        settings_file=config,
        copy=copy,
        base=base,
    )
    with show.steps(ERRORS) as step:
        made = back_up(wanted, target, step)
    document = {"ok": made.ok, **asdict(made)}
    show.answer(document, _backup_text(document), as_json=as_json)
    if not made.ok:
        raise typer.Exit(JournalDamaged.exit_code)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that `backup` made.")],
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read the backup through.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into the state folder of the settings, which must be empty. The node must not run."""
    settings = load_settings(config)
    os.umask(0o077)
    with show.steps(ERRORS) as step:
        report = put_back(source, settings.node.state_dir, step, dry_run=dry_run)
    document = {**asdict(report), "state_dir": str(settings.node.state_dir), "dry_run": dry_run}
    show.answer(document, _restored_text(document), as_json=as_json)


def _backup_text(made: Mapping[str, Any]) -> str:
    journal = "without the journal, which is in PostgreSQL" if made["journal_version"] is None else "with the journal"
    return "\n".join(
        [
            f"{made['folder']}: {made['files']} files, {_megabytes(made['bytes'])}, {journal}; read back",
            *([f"{made['linked']} of them are hard links: copy the backup elsewhere"] if made["linked"] else []),
            *(f"left out: {path}" for path in made["left_out"]),
            *(f"damage: {text}" for text in made["damage"]),
            *(f"missing: {path}" for path in made["missing"]),
            *(f"not what was written: {path}" for path in made["altered"]),
        ]
    )


def _restored_text(restored: Mapping[str, Any]) -> str:
    size = f"{restored['files']} files, {_megabytes(restored['bytes'])}"
    made = f"made {restored['made_at']} by cspine-node {restored['software']}"
    if restored["dry_run"]:
        return f"the backup is whole: {size}, {made}"
    return (
        f"{restored['state_dir']}: {size} put back, {made}\n"
        "what came after the backup is not there: ask the archive for it (cspine-node pull), or send it again"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
