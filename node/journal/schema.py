"""The tables of the journal. Paths are relative to the state folder; times are UTC, ISO 8601."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

#: Grows with every change of a table; a journal of another version is refused.
VERSION = 1

metadata = MetaData()

about = Table("about", metadata, Column("version", Integer, nullable=False))

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
    Column("received_at", String, nullable=False),
    UniqueConstraint("sop_instance_uid", "series_uid", "digest"),
    Index("instance_by_series", "series_uid"),
)

#: One row a series. `arrivals` counts new and changed instances, so that closing notices a late one.
series = Table(
    "series",
    metadata,
    Column("series_uid", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("arrivals", Integer, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("own_result", Boolean, nullable=False),
    Column("first_arrival_at", String, nullable=False),
    Column("last_arrival_at", String, nullable=False),
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

#: One row for each revision of a series that was closed. `attempts` with `owner` fences a claim.
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
    Column("reasons", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", String),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    UniqueConstraint("series_uid", "revision"),
    Index("case_by_state", "state"),
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
    Column("updated_at", String, nullable=False),
    UniqueConstraint("object_id", "destination"),
    Index("delivery_by_state", "destination", "state"),
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
    Column("detail", JSON, nullable=False),
)
