"""The commands. With `--json` standard output holds one JSON document and nothing else; progress and logs go to
standard error. The exit code comes from the class of the error: see `node.errors`.
"""

import signal
import sys

import typer

from node import log, show
from node.cli import bench, cases, commands, journal, model, train
from node.cli.options import ERRORS
from node.errors import NodeError, SystemFailed, unexpected

app = typer.Typer(
    help="A DICOM node that segments the cervical spine in sagittal T2 MR. Research use, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(commands.serve)
app.command()(commands.segment)
app.command()(commands.demo)
app.command()(commands.status)
app.command()(commands.echo)
for command in (cases.retry, cases.hold, cases.release, cases.cancel, cases.reprocess, cases.purge):
    app.command()(command)
app.add_typer(journal.app, name="journal")
app.command("check-config")(commands.check_config)
app.add_typer(model.app, name="model")
app.add_typer(train.app, name="train")
app.command()(bench.bench)
app.command("bench-net")(bench.bench_net)
app.command()(commands.version)

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
