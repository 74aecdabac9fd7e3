"""The objects of a case as rows, and their deliveries."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from node.domain.case import DeliveryState, ResultObject
from node.journal import schema
from node.journal.seals import insert_sealed


def insert_objects(connection: Connection, case_id: int, objects: Sequence[ResultObject], now: str) -> None:
    """Insert the objects of a case, and a delivery for each destination of each."""
    for made in objects:
        values = {
            "case_id": case_id,
            "kind": made.kind.value,
            "sop_class_uid": made.sop_class_uid,
            "sop_instance_uid": made.sop_instance_uid,
            "path": str(made.path),
            "digest": made.digest,
        }
        object_id = insert_sealed(connection, schema.result, values)
        for destination in made.destinations:
            insert_sealed(connection, schema.delivery, pending_delivery(object_id, destination, now))


def pending_delivery(object_id: int, destination: str, now: str) -> Mapping[str, Any]:
    """Return the row of a delivery that nobody has tried yet."""
    return {
        "object_id": object_id,
        "destination": destination,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "updated_at": now,
    }
