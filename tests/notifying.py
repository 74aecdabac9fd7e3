"""A notifier over a real journal, and a channel in memory."""

import hashlib
import json
from typing import Any

from outboxes import Rig

from node.domain.arrivals import Arrival, Quarantined
from node.domain.case import CaseState, Reason
from node.domain.identifiers import Digest
from node.errors import DeliveryError
from node.journal.cases import NewCase
from node.notify.message import Message, Speaker
from node.notify.notifier import Notifier
from node.settings import WebhookSettings


class Ear:
    """A channel that keeps what it is told. `faults` are raised first."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.faults: list[DeliveryError] = []
        self.tries = 0

    def send(self, message: Message) -> None:
        self.tries += 1
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append(message)

    def reach(self) -> None:
        return

    def hang_up(self) -> None:
        return


class Told:
    """Somebody who is told at once, unless the settings say otherwise."""

    def __init__(self, rig: Rig, channel: Ear | None = None, page: str = "", **settings: Any) -> None:
        waits = {"group_wait_s": 0.0, "group_interval_s": 0.0}
        self.rig = rig
        self.speaker = Speaker(name="CSPINE on test", page=page)
        self.channel = channel or Ear()
        self.whom = WebhookSettings.model_validate({"name": "desk", "url": "http://here", **waits, **settings})
        self.start()

    def start(self) -> None:
        """Begin, or begin again after the process has died."""
        self.notifier = Notifier(
            self.whom,
            self.rig.journal,
            self.channel,
            state_dir=self.rig.state_dir,
            speaker=self.speaker,
            clock=self.rig.clock,
        )

    def step(self) -> float:
        return self.notifier.step()

    @property
    def notices(self) -> list[dict[str, Any]]:
        """Step, and return every notice that was told, message by message."""
        self.step()
        return [notice for message in self.channel.taken for notice in json.loads(message.body)["data"]["notices"]]

    def texts(self) -> list[str]:
        return [notice["text"] for notice in self.notices]


def quarantine(rig: Rig, number: int, code: str) -> None:
    """Let a new case end in quarantine."""
    series, content = f"4.{number}", Digest(f"{number:064x}")
    rig.journal.arrivals.record(
        Arrival(
            sop_instance_uid=f"4.{number}.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            series_uid=series,
            study_uid="1.2",
            digest=content,
            path=f"spool/{number}.dcm",
            calling_ae="MR",
            own_result=False,
        )
    )
    [seen] = [item for item in rig.journal.arrivals.open_series() if item.series_uid == series]
    rig.journal.cases.open(
        NewCase(series=seen, set_digest=content, partial=False, route="neck", state=CaseState.QUEUED, reasons=())
    )
    claim = rig.journal.cases.claim("test")
    assert claim is not None
    rig.journal.cases.fail(claim, Reason(code=code, text="it is so"), retry=False)


def bytes_quarantined(rig: Rig, code: str, number: int = 1) -> None:
    digest = Digest(hashlib.sha256(bytes([number])).hexdigest())
    rig.journal.arrivals.record_quarantined(
        Quarantined(digest=digest, path=f"quarantine/{number}.dcm", code=code, text="it is so", calling_ae="MR")
    )
