"""Version 3: the verdict of a case, and indexes for the web page.

The verdict of a case with results follows from its reasons, each of which begins with what it comes to; one that was
made anew from files has lost them, and has none. Rows that are not what was written stay so: they are not sealed anew.
"""

import sqlalchemy as sa
from alembic import op

from node.domain.findings import Verdict
from node.journal import schema
from node.journal.migrations.resealing import Rows
from node.journal.seals import Values

revision = "0003"
down_revision = "0002"

_INDEXES = {
    "case_by_study": ("case", ["study_uid"]),
    "case_by_time": ("case", ["created_at"]),
    "case_by_route": ("case", ["route"]),
    "event_by_case": ("event", ["case_id"]),
    "event_by_what": ("event", ["what", "at"]),
}


def upgrade() -> None:
    """Add the column and the indexes; fill it; seal what was sealed."""
    connection = op.get_bind()
    sound = set(Rows(connection, schema.case).sound())
    op.add_column("case", sa.Column("verdict", sa.String()))
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)
    judged = _with_results(connection)
    rows = Rows(connection, schema.case)
    kept = [{**row, "verdict": _verdict(row) if row["id"] in judged else None} for row in rows.all()]
    kept = [row for row in kept if row["id"] in sound]
    said = [{"number": row["id"], "said": row["verdict"]} for row in kept if row["verdict"]]
    if said:
        case = schema.case
        write = case.update().where(case.c.id == sa.bindparam("number")).values(verdict=sa.bindparam("said"))
        connection.execute(write, said)
    rows.seal(kept)


def _with_results(connection: sa.Connection) -> set[int]:
    """Return the cases whose worker has told what it thinks of their results."""
    result, event = schema.result, schema.event
    made = set(connection.execute(sa.select(result.c.case_id).distinct()).scalars())
    restored = sa.select(event.c.case_id).where(event.c.what == "case restored")
    return made - set(connection.execute(restored).scalars())


def _verdict(row: Values) -> str | None:
    """Return the worst that the reasons of a case with results say; None where they do not say what they come to."""
    said = {reason["text"].partition(":")[0] for reason in row["reasons"]}
    if not said:
        return Verdict.GOOD.value
    return next((one.value for one in (Verdict.REJECT, Verdict.REVIEW) if one.value in said), None)
