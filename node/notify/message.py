"""What is said: several notices as one JSON document, and as a subject and lines for people.

The same notices make the same bytes, so that whoever hears them twice can tell.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.notify.notices import Notice
from node.settings import Topic

#: More notices than this are counted, and not listed.
MOST = 50
_WORDS = {Topic.FAILURE: "failed", Topic.QUARANTINE: "quarantined", Topic.RECOVERY: "recovered"}


@dataclass(slots=True)
class Group:
    """Notices that will be told at once: the first ones, and how many there are of each topic."""

    notices: list[Notice] = field(default_factory=list)
    counts: Counter[Topic] = field(default_factory=Counter)

    def add(self, notice: Notice) -> None:
        """Take one more in."""
        self.counts[notice.topic] += 1
        if len(self.notices) < MOST:
            self.notices.append(notice)

    def __bool__(self) -> bool:
        """Return whether there is anything to tell."""
        return bool(self.notices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent. `identity` is the same for the same content."""

    subject: str
    lines: Sequence[str]
    #: JSON in UTF-8.
    body: bytes

    @property
    def identity(self) -> str:
        """Name of this message, for who may hear it twice."""
        return f"cspine-{hashlib.sha256(self.body).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who tells: the node, and the address of its web page that links start with, "" for none."""

    name: str
    page: str = ""


def message_of(group: Group, speaker: Speaker) -> Message:
    """Return a group as a message."""
    counted = ", ".join(f"{group.counts[topic]} {word}" for topic, word in _WORDS.items() if group.counts[topic])
    more = group.counts.total() - len(group.notices)
    lines = [" ".join(filter(None, (item.at, item.text, _link(item, speaker.page)))) for item in group.notices]
    if more:
        lines.append(f"and {more} more; `cspine-node status` lists them")
    data = {
        "node": speaker.name,
        "counts": {topic.value: group.counts[topic] for topic in Topic if group.counts[topic]},
        "notices": [_document(item, _link(item, speaker.page)) for item in group.notices],
        "more": more,
    }
    head = {"type": "cspine-node.notices", "timestamp": group.notices[-1].at}
    return _message(f"{speaker.name}: {counted}", lines, head, data)


def trial_message(speaker: Speaker, *, at: str) -> Message:
    """Return a message that says that this way works."""
    lines = ["This is a test. Notices about failures, quarantine and recovery will arrive like this one."]
    return _message(
        f"{speaker.name}: test", lines, {"type": "cspine-node.test", "timestamp": at}, {"node": speaker.name}
    )


def _message(subject: str, lines: Sequence[str], head: Mapping[str, Any], data: Mapping[str, Any]) -> Message:
    document = {**head, "text": "\n".join([subject, *lines]), "data": data}  # chat programs show `text`
    return Message(subject=subject, lines=lines, body=json.dumps(document, sort_keys=True).encode())


def _document(notice: Notice, link: str) -> dict[str, Any]:
    told = {
        "id": f"{notice.event}-{notice.kind.value}",
        "at": notice.at,
        "topic": notice.topic.value,
        "kind": notice.kind.value,
        "text": notice.text,
        "codes": list(notice.codes),
    }
    optional = {"case": notice.case, "destination": notice.destination, "pull": notice.pull, "link": link or None}
    return told | {key: value for key, value in optional.items() if value is not None}


def _link(notice: Notice, page: str) -> str:
    if not page:
        return ""
    place = f"cases/{notice.case}" if notice.case is not None else ""
    return f"{page.rstrip('/')}/{place}"
