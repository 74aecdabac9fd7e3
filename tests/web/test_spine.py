"""Tables and plots of measurements: where each value comes to lie, and what is said for those who do not see it."""

import json
from typing import Any

import pytest

from node.errors import ResultDamaged
from node.journal.dossier import Told
from node.web.spine import axis, plots_of, rows_of
from node.web.telling import span, steps, told, tone

BODY, DISC = "vertebral_body", "intervertebral_disc"


def structure(label: int, kind: str, level: str | None, **measures: float) -> dict[str, Any]:
    return {
        "label": label, "kind": kind, "ordinal": label, "level": level, "level_confidence": 0.9, "truncated": False,
        "volume_mm3": 1500.0, "measures": measures,
    }  # fmt: skip


FOUND = {
    "structures": [
        structure(1, BODY, "C3", height_anterior=12.0, height_posterior=13.5),
        structure(2, DISC, "C3/C4", height_anterior=5.0),
        structure(3, BODY, None, height_anterior=11.0),
    ],
    "pairs": [{"upper": 1, "lower": 3, "measures": {"slip": -1.5}}],
}


def test_every_structure_is_a_row_and_one_without_a_level_has_its_place() -> None:
    rows = rows_of(FOUND)
    assert [row.name for row in rows] == ["C3", "C3/C4", "body 3"]
    assert (rows[0].cell("volume"), rows[0].cell("height_anterior"), rows[1].cell("height_posterior")) == (
        "1500", "12.00", "",
    )  # fmt: skip


def test_nothing_is_written_with_a_sign_that_it_does_not_have() -> None:
    (row,) = rows_of({"structures": [structure(1, BODY, "C3", wedge_angle=-1e-9)]})
    assert row.cell("wedge_angle") == "0.00"


def test_all_plots_have_the_same_levels_from_the_head_down() -> None:
    plots = plots_of(FOUND)
    assert [plot.title for plot in plots] == [
        "Height of the bodies", "Height of the discs", "Volume", "Slip on the body below",
    ]  # fmt: skip
    assert {tuple(name for _, name in plot.levels) for plot in plots} == {("C3", "C3/C4", "body 3")}
    heights = [place for place, _ in plots[0].levels]
    assert heights == sorted(heights)


def test_values_lie_where_the_axis_says() -> None:
    bodies = plots_of(FOUND)[0]
    assert [line.name for line in bodies.lines] == ["anterior", "posterior"]
    places = {text: x for x, text in bodies.ticks}
    assert places["0"] == bodies.left
    assert places["0"] < places["10"] < bodies.lines[0].dots[1].x < bodies.lines[0].dots[0].x
    assert bodies.told == "Height of the bodies (anterior, posterior) from C3 to body 3: 11 to 13.5 mm."


def test_a_slip_lies_between_its_bodies_and_left_of_zero_when_it_is_backward() -> None:
    slip = plots_of(FOUND)[-1]
    (dot,) = slip.lines[0].dots
    assert (dot.level, dot.y) == ("C3 on body 3", slip.levels[1][0])
    assert slip.zero is not None
    assert dot.x < slip.zero


@pytest.mark.parametrize(
    ("low", "high", "signed", "least", "expected"),
    [
        (3.9, 6.6, False, 0.0, (0.0, 8.0, 2.0)),
        (0.0, 0.0, False, 0.0, (0.0, 1.0, 0.2)),
        (-1e-10, 1e-10, True, 1.0, (-1.0, 1.0, 0.5)),
        (7.0, 4500.0, False, 0.0, (0.0, 5000.0, 1000.0)),
    ],
)
def test_an_axis_holds_all_values_in_few_round_steps(
    low: float, high: float, signed: bool, least: float, expected: tuple[float, float, float]
) -> None:
    assert axis(low, high, signed=signed, least=least) == pytest.approx(expected)


@pytest.mark.parametrize("broken", [{}, {"structures": [{}]}, {"structures": 7}, {"structures": [None]}])
def test_a_document_that_is_none_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(ResultDamaged, match=r"findings\.json is not what the node writes"):
        plots_of(broken)


def test_nothing_found_makes_no_plot() -> None:
    assert plots_of({"structures": [], "pairs": []}) == ()


def test_an_event_tells_what_it_knows_and_never_a_uid() -> None:
    detail = {"by": "anna", "action": "send", "transaction_uid": "2.25.7", "delivery": 3, "destination": "pacs"}
    event = Told(at="2026-01-01T00:00:00.000+00:00", what="x", detail=json.loads(json.dumps(detail)))
    assert told(event) == "by anna; send; to pacs"
    refused = {"partial": True, "reasons": [{"code": "modality", "text": "neck: Modality is not MR"}]}
    assert told(Told(at="", what="x", detail=refused)) == (
        "without waiting longer for missing instances; modality: neck: Modality is not MR"
    )


def test_times_between_events_are_told_even_when_the_clock_was_set_back() -> None:
    at = ["2026-01-01T00:00:00.000+00:00", "2026-01-01T00:01:35.000+00:00", "2026-01-01T00:00:00.000+00:00"]
    assert steps([Told(at=one, what="x", detail={}) for one in at]) == ["", "+1 min 35 s", "clock was set back"]
    assert steps([]) == []
    assert (span(0.0312), span(12.34)) == ("31 ms", "12.3 s")


def test_a_state_has_a_tone_beside_its_word() -> None:
    assert [tone(word) for word in ("delivered", "queued", "review", "refused", "superseded")] == [
        "good", "", "warn", "bad", "quiet",
    ]  # fmt: skip
