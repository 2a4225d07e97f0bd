"""Time: UTC microseconds, half-open validity, ISO weeks and months as periods."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from remit.terms.errors import ClockError

HOUR = 3_600_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY
FOREVER = 2**63 - 1
"""The `valid_to` of what has no end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"^\s*(\d+)\s*(hour|day|week|month)s?\s*$")
_WEEK = re.compile(r"^(\d{4})-W(\d{2})$")
_MONTH = re.compile(r"^(\d{4})-(\d{2})$")


def parse_instant(text: str) -> int:
    """UTC microseconds of an ISO 8601 text; a text without an offset is UTC. Raises `ClockError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError(f"`{text}` is not an instant", do="Write it as 2026-01-05T06:00:00Z.") from None
    return to_instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def to_instant(moment: datetime) -> int:
    """UTC microseconds of an aware datetime, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def format_instant(instant: int) -> str:
    """ISO 8601 in UTC, to the microsecond only where there are some."""
    text = (_EPOCH + timedelta(microseconds=instant)).isoformat()
    return text.replace("+00:00", "Z")


def add_span(instant: int, span: str, times: int = 1) -> int:
    """`instant` moved by `times` spans such as `1 week` or `3 months`; a month keeps the day, or takes the month's last. Raises `ClockError`."""
    match = _SPAN.match(span)
    if not match:
        raise ClockError(f"`{span}` is not a span of time", do="Write it as `6 hours`, `3 days`, `1 week` or `1 month`.")
    count, unit = int(match[1]) * times, match[2]
    if unit != "month":
        return instant + count * {"hour": HOUR, "day": DAY, "week": WEEK}[unit]
    moment = _EPOCH + timedelta(microseconds=instant)
    months = moment.year * 12 + moment.month - 1 + count
    year, month = divmod(months, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return to_instant(moment.replace(year=year, month=month + 1, day=min(moment.day, last)))


def period_bounds(period: str, zone: str = "UTC") -> tuple[int, int]:
    """The half-open `[from, to)` of an ISO week (`2026-W02`) or a month (`2026-01`) in `zone`, in UTC microseconds. Raises `ClockError`."""
    try:
        if match := _WEEK.match(period):
            first = date.fromisocalendar(int(match[1]), int(match[2]), 1)
            after = first + timedelta(days=7)
        elif match := _MONTH.match(period):
            first = date(int(match[1]), int(match[2]), 1)
            after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        else:
            raise ValueError
    except ValueError:
        raise ClockError(f"`{period}` is not a period", do="Write a week as 2026-W02 or a month as 2026-01.") from None
    home = ZoneInfo(zone)
    return to_instant(datetime(*first.timetuple()[:3], tzinfo=home)), to_instant(datetime(*after.timetuple()[:3], tzinfo=home))
