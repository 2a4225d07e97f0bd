"""What a cell of a company's list says: the ways people write a status, a channel, a number, a date. What can be read in two ways is refused."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from remit.agents.portfolio.columns import plain
from remit.agents.portfolio.pilots import Universe, slug
from remit.terms.charters import PURPOSES
from remit.terms.errors import ClockError
from remit.terms.instants import add_span, parse_instant, to_instant

STATUS_WORDS: Mapping[str, tuple[str, ...]] = {
    "idea": ("idea", "ideation", "concept", "proposal", "proposed", "planned", "planning", "backlog", "discovery", "not started"),
    "pilot": ("pilot", "piloting", "in pilot", "poc", "proof of concept", "mvp", "trial", "test", "testing", "beta"),
    "live": ("live", "production", "in production", "prod", "active", "running", "rolled out", "rollout", "scaled", "scaling", "deployed", "in use"),
    "stopped": ("stopped", "paused", "on hold", "ended", "closed", "cancelled", "canceled", "retired", "discontinued", "completed", "done"),
}
CHANNEL_WORDS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e mail", "emails", "mail", "rep triggered email", "rte", "hq email", "marketing email"),
    "call": (
        "call",
        "calls",
        "rep",
        "reps",
        "rep visit",
        "rep visits",
        "rep call",
        "rep calls",
        "f2f",
        "face to face",
        "detail",
        "details",
        "detailing",
        "field",
    ),
    "msl_visit": ("msl", "msl visit", "msl visits", "medical visit", "medical visits"),
}
DIRECTION_WORDS: Mapping[str, tuple[str, ...]] = {
    "up": ("up", "increase", "more", "higher", "maximise", "maximize", "max", "grow", "raise"),
    "down": ("down", "decrease", "less", "fewer", "lower", "minimise", "minimize", "min", "reduce", "cut"),
}
REFRESH_WORDS: Mapping[str, str] = {
    "real time": "1 hour",
    "realtime": "1 hour",
    "streaming": "1 hour",
    "hourly": "1 hour",
    "daily": "1 day",
    "nightly": "1 day",
    "weekly": "1 week",
    "fortnightly": "2 weeks",
    "monthly": "1 month",
    "quarterly": "3 months",
    "yearly": "12 months",
    "annual": "12 months",
    "annually": "12 months",
}
YES = ("yes", "y", "true", "x", "1", "approved", "in place")
NO = ("no", "n", "false", "0", "none", "not approved", "pending", "in review", "missing")
UNKNOWN = ("", "na", "n a", "tbd", "tbc", "unknown", "not known")
"""Cells that say nothing."""

_FIRST_SERIAL, _LAST_SERIAL = 20_000, 80_000
"""Excel's days from 1954 to 2119."""


class CellError(ValueError):
    """A cell that cannot be taken, and why."""


def empty(cell: str) -> bool:
    """Whether a cell says nothing: blank, a dash, `n/a`, `tbd`."""
    return plain(cell) in UNKNOWN and not re.search(r"[^\W_a-zA-Z]", cell)  # letters of other scripts say something


def one_of(words: Mapping[str, tuple[str, ...]], what: str) -> Callable[[str], str]:
    """Reads a word of `words` as the term it stands for."""
    terms = {each: term for term, all_ in words.items() for each in all_}

    def read(cell: str) -> str:
        if plain(cell) not in terms:
            raise CellError(f"`{cell}` is no {what}; it may be {', '.join(words)}, or {', '.join(sorted(set(terms) - set(words)))}")
        return terms[plain(cell)]

    return read


def listed(cell: str) -> tuple[str, ...]:
    """The parts of a cell that holds several, in order."""
    parts = (" ".join(part.split()) for part in re.split(r"[;,\n|/+&]|\band\b", cell))
    return tuple(dict.fromkeys(part for part in parts if part))


def channels(cell: str) -> tuple[str, ...]:
    """Channels by the names a workspace uses; others as they are, written small and joined by underscores."""
    known = {word: name for name, words in CHANNEL_WORDS.items() for word in words}
    found = (known.get(plain(part)) or slug(part).replace("-", "_") for part in listed(cell))
    return tuple(dict.fromkeys(name for name in found if name))


def number(cell: str) -> int:
    """A whole number: `4000`, `4,000`, `4 000`, `4'000` or a spreadsheet's `4000.0`."""
    digits = re.fullmatch(r"(\d+|\d{1,3}(?:[,' \u00a0\u202f]\d{3})+)(?:\.0{1,2})?", cell.strip())  # 4.000 may be four thousand or four
    if not digits:
        raise CellError(f"`{cell}` is not a whole number such as 4000 or 4,000")
    return int(re.sub(r"\D", "", digits[1]))


def flag(cell: str) -> bool:
    """Yes or no."""
    word = plain(cell)
    if word in YES or word.startswith("yes "):
        return True
    if word in NO or word.startswith("no "):
        return False
    raise CellError(f"`{cell}` is neither yes ({', '.join(YES)}) nor no ({', '.join(NO)})")


def span(cell: str) -> str:
    """How often data are renewed."""
    word = plain(cell)
    for prefix in ("every ", "updated ", "refreshed "):
        word = word.removeprefix(prefix)
    if re.fullmatch(r"(hour|day|week|month)", word):
        word = f"1 {word}"
    found = REFRESH_WORDS.get(word, word)
    try:
        add_span(0, found)
    except ClockError:
        raise CellError(f"`{cell}` does not say how often; write `daily`, `weekly`, `monthly`, or a span such as `2 weeks`") from None
    return found


def sources(cell: str, refresh: str) -> dict[str, str]:
    """Data sources with their refresh: that in brackets behind each, else that of the refresh column."""
    found: dict[str, str] = {}
    default = "" if empty(refresh) else span(refresh)
    for part in re.split(r"[;\n|]" if ";" in cell or "\n" in cell else r"[;,\n|+&]", cell):
        given = re.fullmatch(r"\s*(.*?)\s*(?:\(([^)]*)\)|:\s*(.*))?\s*", part)
        name = slug(given[1]).replace("-", "_") if given else ""
        own = (given[2] or given[3] or "") if given else ""
        if name:
            found[name] = default if empty(own) else span(own)
    return found


def universe(cell: str) -> Universe:
    """Whom a pilot is for: all, a number, deciles, territories or specialties."""
    word = plain(cell)
    if word in ("all", "everyone", "everybody", "all hcps", "all physicians", "all doctors", "all targets"):
        return Universe("all")
    if counted := re.fullmatch(r"(?:top |about |c |ca |approx )?([\d][\d,' ]*(?:\.0+)?)\s*(?:hcps?|physicians?|doctors?|targets?)?", cell.strip().casefold()):
        return Universe("hcps", hcps=_positive(counted[1]))
    if re.match(r"(deciles?|d)\W*\d", cell.strip().casefold()):
        return Universe("deciles", _deciles(cell))
    for by, names in (("territories", ("territories", "territory")), ("specialties", ("specialties", "specialty", "speciality", "specialities"))):
        for name in names:
            if word.startswith(f"{name} "):
                return Universe(by, listed(re.sub(rf"(?i)^\s*{name}\W*", "", cell)))
    if re.search(r"\d", cell):
        raise CellError(f"`{cell}` cannot be read; write `all`, a number such as 12,000, `deciles 8-10`, `territories T1, T2` or specialties")
    return Universe("specialties", tuple(part.casefold() for part in listed(cell)))


def _positive(text: str) -> int:
    found = number(text.strip())
    if found < 1:
        raise CellError("nobody is no universe; leave the cell empty where it is not known")
    return found


def _deciles(cell: str) -> tuple[str, ...]:
    found: list[int] = []
    for low, high in re.findall(r"(\d{1,3})(?:\s*(?:-|\u2013|to|bis)\s*d?(\d{1,3}))?", cell.casefold()):
        found += range(int(low), int(high or low) + 1)
    if not found or not all(1 <= each <= 10 for each in found):
        raise CellError(f"`{cell}` does not name deciles from 1 to 10")
    return tuple(str(each) for each in sorted(set(found)))


def instant(cell: str) -> int:
    """A day (its first instant, UTC) or an instant, in UTC microseconds; a spreadsheet's number of a day counts from 1899-12-30."""
    text = cell.strip()
    if re.fullmatch(r"\d{5}(?:\.\d+)?", text) and _FIRST_SERIAL <= float(text) <= _LAST_SERIAL:
        return _start(date(1899, 12, 30) + timedelta(days=int(float(text))))
    try:
        if day := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[ T]00:00(?::00(?:\.0+)?)?)?", text):
            return _start(date(int(day[1]), int(day[2]), int(day[3])))
        if day := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
            return _start(date(int(day[3]), int(day[2]), int(day[1])))
        if day := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text):
            return _start(_slashed(int(day[1]), int(day[2]), int(day[3]), cell))
        return parse_instant(text)
    except CellError:
        raise
    except (ValueError, ClockError):
        raise CellError(f"`{cell}` is not a day such as 2026-12-31") from None


def _slashed(first: int, second: int, year: int, cell: str) -> date:
    if first == second or second > 12:
        return date(year, first, second)
    if first > 12:
        return date(year, second, first)
    raise CellError(f"`{cell}` may be a day in one of two months; write it as {year}-12-31 is written")


def _start(day: date) -> int:
    return to_instant(datetime(day.year, day.month, day.day, tzinfo=UTC))


def purpose(cell: str) -> str:
    """One of the purposes."""
    if plain(cell) not in PURPOSES:
        raise CellError(f"`{cell}` is no purpose; it may be {', '.join(PURPOSES)} (what a pilot is for goes under `objective`)")
    return plain(cell)


def direction_of(name: str) -> str:
    """The direction that a metric's own words give: `reduce opt-outs` is down; "" where they give none."""
    words = set(plain(name).split())
    found = [direction for direction, names in DIRECTION_WORDS.items() if words & {*names, *(f"{word}s" for word in names), *(f"{word}d" for word in names)}]
    return found[0] if len(found) == 1 else ""


Reader = Callable[[str], Any]
READERS: Mapping[str, Reader] = {
    "purpose": purpose,
    "direction": one_of(DIRECTION_WORDS, "direction"),
    "channels": channels,
    "products": lambda cell: tuple(part.casefold() for part in listed(cell)),
    "universe": universe,
    "content_review": flag,
    "status": one_of(STATUS_WORDS, "status"),
    "contacts_per_cycle": number,
    "holdout": flag,
    "expires": instant,
}
"""How each column is read; one that is not here is text."""
