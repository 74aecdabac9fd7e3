"""`cspine-node web`: the page, in a process of its own."""

import os
import secrets
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from node import control, log, show, systemd
from node.bootstrap.state import open_journal_for_reading, uid_key
from node.cli.options import AsJson
from node.durable import write_durably
from node.monitor import figures
from node.settings import Settings, load_settings

app = typer.Typer(help="Serve the web page, until SIGTERM.", invoke_without_command=True, add_completion=False)

#: Seconds that the running node has for an answer: who looks at a page that does not come presses again.
_PATIENCE_S = 15.0


@app.callback()
def web(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file (TOML).", envvar="CSPINE_NODE_CONFIG")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve the web page, until SIGTERM. The node need not run meanwhile; `[web]` says who may look."""
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise typer.BadParameter("is needed", param_hint="--config")
    _serve(load_settings(config), as_json=as_json)


@app.command("hash-password")
def hash_password(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it into a file that only you can read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a password, or read it from standard input, and print what `password_file` of a [[web.user]] holds."""
    from node.web.passwords import hash_password as hashed  # noqa: PLC0415 - argon2 is needed here alone

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    made = hashed(password)
    if out is None:
        show.answer({"hash": made}, made, as_json=as_json)
    else:
        _write(out, made)
        show.answer({"file": str(out)}, f"{out}: written", as_json=as_json)


@app.command("make-token")
def make_token(
    out: Annotated[Path, typer.Option("--out", "-o", help="Write it into a file that only you can read.")],
    as_json: AsJson = False,
) -> None:
    """Make a token at random, for the `token_file` of a [[web.token]] and for the program that comes with it."""
    _write(out, secrets.token_urlsafe(32))
    show.answer({"file": str(out)}, f"{out}: written", as_json=as_json)


def _write(path: Path, secret: str) -> None:
    os.umask(0o077)
    write_durably(path, [f"{secret}\n".encode()])


def _patience_s(request: control.Document) -> float:
    """Return how long the node may take: little for figures, which scrapes and probes wait for."""
    return figures.PATIENCE_S if request == figures.REQUEST else _PATIENCE_S


def _serve(settings: Settings, *, as_json: bool) -> None:
    from node.web.app import build_app  # noqa: PLC0415 - FastAPI takes a second to import, other commands do without
    from node.web.impatience import Impatient  # noqa: PLC0415
    from node.web.serve import WebServer  # noqa: PLC0415
    from node.web.site import Site  # noqa: PLC0415

    state_dir = settings.node.state_dir
    with closing(open_journal_for_reading(settings)) as store:
        key = uid_key(settings) or secrets.token_bytes(32)
        log.configure(level=settings.log.level, key=key if settings.log.identifiers == "hashed" else None)
        site = Site(
            settings=settings,
            store=store,
            ask=Impatient(lambda request: control.ask(state_dir, request, patience_s=_patience_s(request))),
            uid_key=key,
        )
        server = WebServer(build_app(site), settings.web)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: server.stop())
        url = settings.web.origin
        show.answer({"url": url, "signs_in": settings.web.signs_in}, f"the page is at {url}", as_json=as_json)
        # each time both: the first of them may be lost on a busy machine, and a start that is told twice is told once
        server.run(lambda: systemd.notify("READY=1\nWATCHDOG=1"), every_s=systemd.interval_s())
