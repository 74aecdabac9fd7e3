"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on a socket, gone with the session."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from peers import program

_SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB")


@contextlib.contextmanager
def running_cluster() -> Iterator[str]:
    """Start a cluster, without fsync, and return the URL of its database; end it after."""
    initdb, control = program("initdb"), program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="cspg-", dir="/tmp"))  # short: a socket's path has 107 bytes
    owner = _unprivileged()
    if owner:
        shutil.chown(folder, owner["user"])
    try:
        data = str(folder / "data")
        _call([initdb, "-D", data, "-U", "node", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"], owner)
        options = " ".join(f"-c {setting}" for setting in _SETTINGS) + f" -k {folder}"
        _call([control, "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start"], owner)
        try:
            yield f"postgresql://node@/postgres?host={folder}"
        finally:
            _call([control, "-D", data, "-m", "immediate", "-w", "stop"], owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_schema(url: str, name: str) -> Iterator[str]:
    """Make an empty schema in a database and return the URL that leads into it; drop it after."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.execute(f"CREATE SCHEMA {name}")
    yield f"{url}&options=-csearch_path%3D{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = error")
        connection.execute(f"DROP SCHEMA {name} CASCADE")


def empty(url: str, keep: frozenset[str]) -> None:
    """Delete every row of the tables of a schema but of those to `keep`, and let its numbers begin anew."""
    with psycopg.connect(url) as connection:
        listed = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        names = [f'"{name}"' for (name,) in connection.execute(listed) if name not in keep]
        connection.execute("SET session_replication_role = replica")  # foreign keys do not matter: all of them go
        for name in names:
            connection.execute(f"DELETE FROM {name}")
        sequences = connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()")
        for (name,) in sequences.fetchall():
            connection.execute(f'ALTER SEQUENCE "{name}" RESTART')


def _unprivileged() -> dict[str, Any]:
    """Return as whom the server runs: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = entries.get("postgres") or entries["nobody"]
    return {"user": entry.pw_name, "group": entry.pw_gid, "extra_groups": []}


def _call(command: list[str | None], owner: dict[str, Any]) -> None:
    assert all(command)
    done = subprocess.run(
        [str(word) for word in command], check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, timeout=120, **owner,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
