"""The measurement of the web page: every address answers over its journal, and a limit that is broken is told."""

from datetime import UTC, datetime
from pathlib import Path

from node.bench.web import measure_web, over_limit, web_text
from node.bench.webjournal import fill
from node.domain.case import CaseState
from node.journal.check import check
from node.journal.store import Store
from node.journal.worklist import count_by_state


def test_the_journal_of_the_measurement_is_sound_and_has_cases_in_every_state(tmp_path: Path) -> None:
    fill(tmp_path / "journal.sqlite", 200, until=datetime(2026, 1, 1, tzinfo=UTC))
    store = Store(tmp_path / "journal.sqlite", read_only=True)
    counts = count_by_state(store)
    assert sum(counts.values()) == 200
    assert counts[CaseState.REJECTED] == 66
    assert {CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.SENDING, CaseState.HELD} <= set(counts)
    assert check(store) == ()
    store.close()


def test_every_address_is_measured_and_a_broken_limit_is_told() -> None:
    document = measure_web(200, 3, lambda _text: None)
    assert {"worklist", "a case", "metrics"} <= set(document["milliseconds"])
    assert "worklist, by UID" in web_text(document)
    assert over_limit({**document, "limits_ms": {"worklist": 0.0, "metrics": 1e9}})[0].startswith("worklist: ")
