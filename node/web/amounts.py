"""Amounts in words, for people: `{{ seconds | age }}`, `{{ size | bytes }}`, `{{ at | moment }}`."""

from datetime import UTC, datetime

from markupsafe import Markup

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")


def age(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> age(4), age(125), age(7_260), age(200_000)
    ('4 s', '2 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    left = round(seconds)
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        parts.append((count, unit))
    parts.append((left, "s"))
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count or len(parts) == 1)


def bytes_(size: float) -> str:
    """Return a size in the largest unit that it has at least one of.

    >>> bytes_(512), bytes_(1536), bytes_(3 << 30)
    ('512 bytes', '1.5 KiB', '3.0 GiB')
    """
    for unit in _SIZES[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_SIZES[-1]}"


def moment(at: str | float) -> Markup:
    """Return a time, ISO 8601 or seconds since the epoch, as an element that says it in UTC.

    >>> moment("2026-01-01T00:16:40.000+00:00")
    Markup('<time datetime="2026-01-01T00:16:40+00:00">2026-01-01 00:16:40 UTC</time>')
    """
    told = (
        datetime.fromtimestamp(at, UTC) if isinstance(at, float | int) else datetime.fromisoformat(at).astimezone(UTC)
    )
    return Markup('<time datetime="{}">{}</time>').format(
        told.isoformat(timespec="seconds"), told.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
