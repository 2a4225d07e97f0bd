"""Periods as consecutive numbers, so that a lag is a difference."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from remit.features.errors import FeatureError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PERIOD = re.compile(r"(\d{4})-(W?)(\d{2})")


class Cadence(StrEnum):
    """How long a period is."""

    WEEK = "week"
    MONTH = "month"


def number_of(period: str) -> int:
    """The number of an ISO week (`2026-W02`) or a month (`2026-01`): the next period of its kind has the next number. Raises `FeatureError`."""
    match = _PERIOD.fullmatch(period)
    try:
        if match is None:
            raise ValueError
        year, place = int(match[1]), int(match[3])
        return date.fromisocalendar(year, place, 1).toordinal() // 7 if match[2] else _month_number(date(year, place, 1))
    except ValueError:
        raise FeatureError(f"`{period}` is not a period", where="rx", do="Write a week as 2026-W02 or a month as 2026-01.") from None


def name_of(number: int, cadence: Cadence) -> str:
    """The period of that number: what `number_of` turns back."""
    if cadence is Cadence.MONTH:
        return f"{number // 12:04}-{number % 12 + 1:02}"
    year, week, _ = date.fromordinal(number * 7 + 1).isocalendar()
    return f"{year:04}-W{week:02}"


def number_at(instant: int, cadence: Cadence, zone: str) -> int:
    """The number of the period that contains `instant` in `zone`."""
    day = (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone)).date()
    return (day.toordinal() - 1) // 7 if cadence is Cadence.WEEK else _month_number(day)


def cadence_of(periods: Iterable[str]) -> Cadence | None:
    """The one cadence of `periods`, None if there are none. Raises `FeatureError` where weeks and months are mixed."""
    kinds = {Cadence.WEEK if "W" in period else Cadence.MONTH for period in periods}
    if len(kinds) > 1:
        raise FeatureError("prescriptions come in weeks and in months", where="rx", do="Load one cadence; sum weeks to months before loading.")
    return next(iter(kinds), None)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1
