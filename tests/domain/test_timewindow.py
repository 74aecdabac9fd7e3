"""Hours of the week: how they are written, and what lies in them."""

from datetime import datetime

import pytest

from node.domain.timewindow import parse_window


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("08:00-12:00", "2026-11-20 08:00", True),
        ("08:00-12:00", "2026-11-20 11:59", True),
        ("08:00-12:00", "2026-11-20 12:00", False),
        ("20:00-06:00", "2026-11-20 23:59", True),
        ("20:00-06:00", "2026-11-20 05:59", True),
        ("20:00-06:00", "2026-11-20 06:00", False),
        ("00:00-24:00", "2026-11-20 23:59", True),
        ("Fri 18:00-24:00", "2026-11-20 18:00", True),
        ("Fri 18:00-24:00", "2026-11-21 18:00", False),
        ("Fri-Mon 22:00-04:00", "2026-11-24 03:00", True),
        ("Fri-Mon 22:00-04:00", "2026-11-20 03:00", False),
        ("sat-sun 00:00-24:00", "2026-11-22 13:00", True),
    ],
)
def test_a_time_lies_in_a_window_or_not(text, moment, inside):
    assert parse_window(text).holds(datetime.fromisoformat(moment)) is inside


@pytest.mark.parametrize(
    "text",
    ["", "8-12", "08:00-08:00", "08:60-09:00", "24:00-25:00", "24:00-06:00", "Foo 08:00-09:00", "Mon-Foo 08:00-09:00"],
)
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ValueError, match=r"window|time of the day|day of the week"):
        parse_window(text)
