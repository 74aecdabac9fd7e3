"""Commands run in this process."""

import io
import json
from typing import Any

import pytest
from typer.testing import CliRunner

import node.cli


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, Any]:
    """Return the exit code of a command and its answer: parsed where it is asked for as JSON. Raises its error."""
    out = io.StringIO()
    monkeypatch.setattr("node.show._ANSWERS", out)
    done = CliRunner().invoke(node.cli.app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(out.getvalue()) if "--json" in arguments else out.getvalue()
