"""The commands. With `--json` standard output holds one JSON document and nothing else; progress and logs go to
standard error. The exit code comes from the class of the error: see `node.errors`.
"""

import signal
import sys
from typing import Annotated

import typer

from node import log, show
from node.cli.lazily import group_of
from node.cli.options import ERRORS
from node.cli.version import version
from node.errors import NodeError, SystemFailed, unexpected

#: In the order in which `--help` shows them.
COMMANDS = {
    "init": "node.cli.init:init",
    "serve": "node.cli.serve:serve",
    "worker": "node.cli.worker:worker",
    "web": "node.cli.web:app",
    "segment": "node.cli.segment:segment",
    "demo": "node.cli.segment:demo",
    "status": "node.cli.status:status",
    "echo": "node.cli.checks:echo",
    "doctor": "node.cli.doctor:doctor",
    "notify": "node.cli.notify:app",
    "retry": "node.cli.cases:retry",
    "hold": "node.cli.cases:hold",
    "release": "node.cli.cases:release",
    "cancel": "node.cli.cases:cancel",
    "reprocess": "node.cli.cases:reprocess",
    "send": "node.cli.cases:send",
    "purge": "node.cli.cases:purge",
    "pull": "node.cli.pull:pull",
    "journal": "node.cli.journal:app",
    "backup": "node.cli.backup:backup",
    "restore": "node.cli.backup:restore",
    "check-config": "node.cli.checks:check_config",
    "settings": "node.cli.settings:settings",
    "model": "node.cli.model:app",
    "dataset": "node.cli.dataset:app",
    "batch": "node.cli.batch:app",
    "evaluate": "node.cli.evaluate:evaluate",
    "train": "node.cli.train:app",
    "bench": "node.cli.bench:bench",
    "bench-net": "node.cli.bench:bench_net",
    "bench-batch": "node.cli.bench:bench_batch",
    "bench-web": "node.cli.bench:bench_web",
    "version": "node.cli.version:version",
}

app = typer.Typer(cls=group_of(COMMANDS), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _tell_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def _node(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A DICOM node that segments the cervical spine in sagittal T2 MR. Research use, not a medical device."""


#: What the command line parser exits with when it does not understand.
_USAGE = 2


def main() -> None:
    """Run a command and exit with its code."""
    as_json = "--json" in sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # so that scratch folders are removed
    log.configure(level="warning", key=None)
    try:
        with show.answers_only(unless=len(sys.argv) == 1 or "--help" in sys.argv[1:]):
            app()
    except NodeError as error:
        _complain(error, as_json=as_json)
    except OSError as error:
        _complain(SystemFailed(": ".join(filter(None, (error.filename, error.strerror)))), as_json=as_json)
    except SystemExit as end:
        if end.code == _USAGE and as_json:
            show.answer({"error": {"code": "usage", "message": "wrong usage", "retryable": False}}, "", as_json=True)
        raise
    except Exception as error:  # noqa: BLE001 - the message of a foreign error may quote a patient
        _complain(unexpected(error), as_json=as_json)


def _complain(error: NodeError, *, as_json: bool) -> None:
    if as_json:
        show.answer(show.error_document(error), "", as_json=True)
    else:
        ERRORS.print(f"{error.code}: {error}", style="red", markup=False)
    sys.exit(error.exit_code)
