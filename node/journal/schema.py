"""The tables of the journal. Paths are relative to the state folder; times are UTC, ISO 8601.

`seal` is a digest of the row (see `node.journal.seals`).
"""

import json
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

from node.errors import JournalDamaged

#: Grows with every change of a table; `node.journal.migrations` has a step for each.
VERSION = 3


class Document(TypeDecorator[Any]):
    """Lists and mappings as JSON. Raises JournalDamaged for what is none."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str:
        """Return what is stored."""
        return json.dumps(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        """Return what was stored."""
        try:
            return json.loads(value)
        except (TypeError, ValueError) as error:
            raise JournalDamaged("a row holds no JSON where it should") from error


metadata = MetaData()

about = Table("about", metadata, Column("version", Integer, nullable=False))

#: What alembic reads and writes: the same version once more.
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))


def _seal() -> Column[str]:
    return Column("seal", String(32))


#: One row for each stored version of an instance; the newest row of a UID counts.
instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("path", String, nullable=False),
    Column("calling_ae", String(16), nullable=False),
    Column("association", String, nullable=False, server_default=""),
    Column("received_at", String, nullable=False),
    _seal(),
    UniqueConstraint("sop_instance_uid", "series_uid", "digest"),
    Index("instance_by_series", "series_uid"),
)

#: One row a series. `arrivals` counts new and changed instances, so that closing notices a late one; `instances` the
#: distinct ones that are stored.
series = Table(
    "series",
    metadata,
    Column("series_uid", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("arrivals", Integer, nullable=False),
    Column("instances", Integer, nullable=False, server_default="0"),
    Column("closed", Boolean, nullable=False),
    Column("own_result", Boolean, nullable=False),
    Column("calling_ae", String(16), nullable=False, server_default=""),
    #: Of the revision that receives now or was closed last.
    Column("first_arrival_at", String, nullable=False),
    Column("last_arrival_at", String, nullable=False),
)

#: How many instances a series has, by each who has said so.
expectation = Table(
    "expectation",
    metadata,
    Column("series_uid", String(64), primary_key=True),
    Column("by", String, primary_key=True),
    Column("instances", Integer, nullable=False),
    Column("updated_at", String, nullable=False),
)

#: Received bytes that are no usable instance, kept with their reason.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("path", String, nullable=False),
    Column("code", String, nullable=False),
    Column("text", String, nullable=False),
    Column("calling_ae", String(16), nullable=False),
    Column("received_at", String, nullable=False),
)

#: One row for each revision of a series that was closed. `owner`, `attempts` and `claims` fence a claim; `claims`
#: never goes back.
case = Table(
    "case",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_uid", String(64), ForeignKey("series.series_uid"), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("set_digest", String(64), nullable=False),
    Column("partial", Boolean, nullable=False),
    Column("route", String),
    Column("state", String, nullable=False),
    Column("reasons", Document, nullable=False),
    #: Of its result: "good", "review" or "reject"; None while it has none.
    Column("verdict", String),
    Column("attempts", Integer, nullable=False),
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("owner", String),
    #: Seconds on the clock of the leases (`Store.lease_clock`).
    Column("lease_until", Float, info={"sealed": False}),
    #: Its received and its result files are deleted.
    Column("purged", Boolean, nullable=False, server_default=false()),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    _seal(),
    UniqueConstraint("series_uid", "revision"),
    Index("case_by_state", "state"),
    Index("case_by_study", "study_uid"),
    Index("case_by_time", "created_at"),
    Index("case_by_route", "route"),
)

#: Result objects, persisted before the first send.
result = Table(
    "object",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", Integer, ForeignKey("case.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("path", String, nullable=False),
    Column("digest", String(64), nullable=False),
    _seal(),
    UniqueConstraint("case_id", "sop_instance_uid"),
    Index("object_by_uid", "sop_instance_uid"),
)

#: One object on its way to one destination.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("object_id", Integer, ForeignKey("object.id"), nullable=False),
    Column("destination", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("code", String),
    Column("text", String),
    Column("sent_at", String),
    Column("updated_at", String, nullable=False),
    _seal(),
    UniqueConstraint("object_id", "destination"),
    Index("delivery_by_state", "destination", "state"),
)

#: A storage commitment that the node asks of a destination; `closed` when nothing more is waited for.
commitment = Table(
    "commitment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False, unique=True),
    Column("destination", String, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("asked_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    _seal(),
    Index("commitment_by_destination", "destination", "closed"),
)

#: The deliveries that a commitment speaks of; `answered` when a report has spoken of it.
commitment_delivery = Table(
    "commitment_delivery",
    metadata,
    Column("commitment_id", Integer, ForeignKey("commitment.id"), primary_key=True),
    Column("delivery_id", Integer, ForeignKey("delivery.id"), primary_key=True),
    Column("answered", Boolean, nullable=False),
)

#: A storage commitment that somebody asks of the node; due until it is `reported`.
promise = Table(
    "promise",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False),
    Column("asked_by", String(16), nullable=False),
    #: [[SOP Class UID, SOP Instance UID], ...]
    Column("references", Document, nullable=False),
    Column("reported", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    #: How many references the report told to have failed.
    Column("failed", Integer),
    #: Why the last report did not arrive.
    Column("code", String),
    Column("asked_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    _seal(),
    UniqueConstraint("asked_by", "transaction_uid"),
    Index("promise_by_reported", "reported"),
)

#: Append-only: the audit trail.
event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("series_uid", String(64)),
    Column("case_id", Integer),
    Column("what", String, nullable=False),
    Column("detail", Document, nullable=False),
    Index("event_by_series", "series_uid"),
    Index("event_by_case", "case_id"),
    Index("event_by_what", "what", "at"),
)
