"""Version 2: seals, leases, sent deliveries, storage commitment, expected counts, retention.

Every row of version 1 is kept, and sealed as it stands.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from node.journal import schema
from node.journal.migrations.resealing import Rows

revision = "0002"
down_revision = "0001"

_ADDED: dict[str, list[sa.Column[Any]]] = {
    "instance": [sa.Column("association", sa.String(), nullable=False, server_default="")],
    "series": [
        sa.Column("instances", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("calling_ae", sa.String(16), nullable=False, server_default=""),
    ],
    "case": [
        sa.Column("claims", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_until", sa.Float()),
        sa.Column("purged", sa.Boolean(), nullable=False, server_default=sa.false()),
    ],
    "object": [],
    "delivery": [sa.Column("sent_at", sa.String())],
}


def upgrade() -> None:
    """Add columns, tables and indexes; fill what follows from the rows; seal them."""
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
        if table != "series":
            op.add_column(table, sa.Column("seal", sa.String(32)))
    connection = op.get_bind()
    for made in (schema.expectation, schema.commitment, schema.commitment_delivery, schema.promise):
        made.create(connection)
    op.create_index("event_by_series", "event", ["series_uid"])
    _fill(connection)
    for sealed in (schema.instance, schema.case, schema.result, schema.delivery):
        rows = Rows(connection, sealed)
        rows.seal(rows.all())


def _fill(connection: sa.Connection) -> None:
    series, instance, case = schema.series, schema.instance, schema.case
    of_series = instance.c.series_uid == series.c.series_uid
    stored = sa.select(sa.func.count(instance.c.sop_instance_uid.distinct())).where(of_series).scalar_subquery()
    newest = sa.select(instance.c.calling_ae).where(of_series).order_by(instance.c.id.desc()).limit(1).scalar_subquery()
    connection.execute(series.update().values(instances=stored, calling_ae=sa.func.coalesce(newest, "")))
    connection.execute(case.update().values(claims=case.c.attempts))
