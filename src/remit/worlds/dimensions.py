"""The country's slowly changing facts: master data, consent, content, alignment, resources, formulary, products, and the questions physicians ask."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from remit.terms.instants import DAY, HOUR, WEEK
from remit.worlds.country import SPECIALTIES, ZONES, Country, Ints
from remit.worlds.deliveries import Delivery, generator, iso

Cells = pl.Series | Sequence[str] | Sequence[int] | str | None

Starts = Callable[[int], int]
"""The instant at which a numbered week starts."""

_CALLS_A_WEEK = 32
_SHORT_SUPPLY_WEEK = 2


def dimensions(country: Country, starts: Starts, weeks: int, later: int) -> Iterator[Delivery]:
    """One history file per feed, then a small file per feed and week: the first repeats a few rows, each later one restates a few and changes some of them."""
    clock = _Clock(starts, weeks)
    yield Delivery("products", "history", _products(clock))
    yield Delivery("content", "history", _content(clock))
    everyone = np.arange(country.size)
    makers = {"hcp": _hcp, "consent": _consent, "alignments": _alignments, "formulary": _formulary}
    for feed, rows in makers.items():
        yield Delivery(feed, "history", rows(country, clock, everyone, 0))
    yield Delivery("resources", "history", _resources(country, clock, 0))
    asked = _questions(country, clock, later)
    yield Delivery("inquiries", "history", _inquiries(clock, asked, 0))
    refreshed = pl.lit(clock.text(0, 4 * HOUR)).alias("received_at")
    for feed, rows in makers.items():
        yield Delivery(feed, clock.name(0), rows(country, clock, _some(country, 0), 0).with_columns(refreshed))
    yield Delivery("products", clock.name(0), _products(clock).with_columns(refreshed))
    yield Delivery("content", clock.name(0), _content(clock).with_columns(refreshed))
    for step in range(1, later + 1):
        some = _some(country, step)
        for feed, rows in makers.items():
            yield Delivery(feed, clock.name(step), rows(country, clock, some, step))
        yield Delivery("products", clock.name(step), _products(clock, step))
        yield Delivery("content", clock.name(step), _content(clock, step))
        yield Delivery("resources", clock.name(step), _resources(country, clock, step))
        yield Delivery("inquiries", clock.name(step), _inquiries(clock, asked, step))


def _some(country: Country, step: int) -> Ints:
    """The physicians that a week's delivery is about."""
    return np.sort(generator(country.seed, "changes", step).choice(country.size, max(1, country.size // 200), replace=False))


class _Clock:
    """Step 0 is the last delivery of history, step 1 the week after; each comes at four in the morning (UTC) of a Monday."""

    def __init__(self, starts: Starts, weeks: int) -> None:
        self._starts, self.weeks = starts, weeks

    def monday(self, step: int) -> int:
        return self._starts(self.weeks + 1 + step)

    def text(self, step: int, after: int = 0) -> str:
        return str(iso(pl.Series([self.monday(step) + after]))[0])

    def received(self, step: int) -> str:
        """History is known from its own start, so that the past can be learnt from."""
        return self.text(step, 4 * HOUR) if step else self.text(-self.weeks - 1)

    def name(self, step: int) -> str:
        return str(pl.Series([self.monday(step) + WEEK // 2]).cast(pl.Datetime("us")).dt.strftime("%G-W%V")[0])


_ALWAYS = "2024-01-01T00:00:00Z"


def _names(prefix: str, numbers: Ints, digits: int) -> pl.Series:
    return pl.Series(numbers + 1).cast(pl.String).str.zfill(digits).str.replace("^", prefix)


def _table(columns: Mapping[str, Cells], height: int) -> pl.DataFrame:
    """A frame in which a lone text, or None, fills its column."""
    whole = {
        name: pl.repeat(value, height, dtype=pl.String, eager=True) if value is None or isinstance(value, str) else value for name, value in columns.items()
    }
    return pl.DataFrame(whole)


def _hcp(country: Country, clock: _Clock, who: Ints, step: int) -> pl.DataFrame:
    """Later weeks: one physician in five of those restated joins PDRP."""
    joins = np.arange(len(who)) % 5 == 0 if step else np.zeros(len(who), dtype=bool)
    confidence = country.confidence[who]
    columns: dict[str, Cells] = {
        "hcp_id": country.ids[who],
        "specialty": pl.Series(SPECIALTIES)[country.specialty[who]],
        "practice_id": _names("P", country.practice[who], 7),
        "practice_size": pl.Series(country.practice_size[who]),
        "zone": pl.Series(ZONES)[country.zone[who]],
        "match_confidence": pl.Series(np.char.add(np.where(confidence == 100, "1.", "0."), np.char.zfill((confidence % 100).astype(str), 2)).tolist()),
        "pdrp": pl.Series(np.where(country.pdrp[who] | joins, "true", "false").tolist()),
        "valid_from": clock.text(step) if step else _ALWAYS,
        "valid_to": None,
        "received_at": clock.received(step),
    }
    return _table(columns, len(who))


def _consent(country: Country, clock: _Clock, who: Ints, step: int) -> pl.DataFrame:
    """Later weeks: one in three of those restated opts out of e-mail, the rest opt in."""
    if step:
        email = np.where(np.arange(len(who)) % 3 == 0, -1, 1)
        parts = [(who, email, "email", "promotional")]
    else:
        parts = [
            (who, country.email[who], "email", "promotional"),
            (who, country.call[who], "call", "promotional"),
            (who, np.where(who % 29 == 0, -1, 1), "msl_visit", "medical"),
        ]
    frames = []
    for people, wish, channel, purpose in parts:
        said = wish != 0
        status = pl.Series(np.where(wish[said] > 0, "opt_in", "opt_out").tolist(), dtype=pl.String)
        columns: dict[str, Cells] = {
            "hcp_id": country.ids[people[said]],
            "channel": channel,
            "purpose": purpose,
            "status": status,
            "valid_from": clock.text(step) if step else _ALWAYS,
            "valid_to": None,
            "received_at": clock.received(step),
        }
        frames.append(_table(columns, int(said.sum())))
    return pl.concat(frames)


def _alignments(country: Country, clock: _Clock, who: Ints, step: int) -> pl.DataFrame:
    """A rep covers a territory for both brands, exclusively; an MSL covers a larger area beside the others."""
    territory, area = country.territory[who], who * country.msls // country.size
    frames = []
    for rep, place, force, exclusive in (
        (_names("rep-", territory, 4), _names("T", territory, 3), "field", "true"),
        (_names("msl-", area, 4), _names("M", area, 3), "medical", "false"),
    ):
        for product in ("alpha", "beta"):
            columns: dict[str, Cells] = {
                "rep_id": rep,
                "territory": place,
                "hcp_id": country.ids[who],
                "sales_force": force,
                "product": product,
                "exclusive": exclusive,
                "valid_from": _ALWAYS,
                "valid_to": None,
                "received_at": clock.received(step),
            }
            frames.append(_table(columns, len(who)))
    return pl.concat(frames)


def _formulary(country: Country, clock: _Clock, who: Ints, step: int) -> pl.DataFrame:
    """Later weeks: the practices restated lose preferred access to beta."""
    practices = np.unique(country.practice[who])
    tiers = generator(country.seed, "formulary").choice(3, (int(country.practice[-1]) + 1, 2), p=(0.3, 0.5, 0.2))[practices]
    frames = []
    for number, product in enumerate(("alpha", "beta")):
        tier = np.maximum(tiers[:, number], number) if step else tiers[:, number]
        columns: dict[str, Cells] = {
            "practice_id": _names("P", practices, 7),
            "product": product,
            "tier": pl.Series(("preferred", "covered", "restricted"))[tier],
            "valid_from": clock.text(step) if step else _ALWAYS,
            "valid_to": None,
            "received_at": clock.received(step),
        }
        frames.append(_table(columns, len(practices)))
    return pl.concat(frames)


def _products(clock: _Clock, step: int = 0) -> pl.DataFrame:
    columns: dict[str, Cells] = {
        "product": ["alpha", "beta", "gamma"],
        "brand": ["Alpha", "Beta", "Gamma"],
        "basket": "basket-1",
        "own": ["true", "true", "false"],
        "outcome": ["trx", "nrx", "trx"],
        "value_minor": [4_000, 9_000, 0],
        "currency": "USD",
        "valid_from": _ALWAYS,
        "valid_to": None,
        "received_at": clock.received(step),
    }
    return _table(columns, 3)


_ITEMS = (
    ("email-1", "email", "promotional", "efficacy"),
    ("email-2", "email", "promotional", "dosing"),
    ("email-3", "email", "reminder", "access"),
    ("email-4", "email", "promotional", "safety"),
    ("detail-1", "call", "promotional", "efficacy"),
    ("detail-2", "call", "promotional", "safety"),
    ("reply-1", "msl_visit", "medical_reply", "dosing"),
    ("reply-2", "msl_visit", "medical_reply", "interactions"),
)


def _content(clock: _Clock, step: int = 0) -> pl.DataFrame:
    """Per brand: `email-2` expires in the second week, `email-3` is a draft until it is approved in the third, `email-4` was withdrawn before the first."""
    rows = []
    for product in ("alpha", "beta"):
        for item, channel, kind, topic in _ITEMS:
            draft = item == "email-3" and step < _SHORT_SUPPLY_WEEK
            begins = clock.text(step) if item == "email-3" and step == _SHORT_SUPPLY_WEEK else _ALWAYS
            ends = clock.text(1, 10 * DAY) if item == "email-2" else None
            rows.append((f"{product}-{item}", product, channel, kind, topic, "draft" if draft else "approved", begins, ends, clock.received(step)))
        if step == 0:
            rows.append((f"{product}-email-4", product, "email", "promotional", "safety", "withdrawn", clock.text(-9), None, clock.text(-9, 4 * HOUR)))
    names = ("content_id", "product", "channel", "communication_type", "topic", "status", "valid_from", "valid_to", "received_at")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _resources(country: Country, clock: _Clock, step: int) -> pl.DataFrame:
    """What there is in the week that starts now; supply of beta is short in the third week."""
    shared = [
        ("sends", "e-mails", f"{max(1, country.size // 5)}"),
        ("budget/email", "USD", f"{max(1, country.size // 10)}.50"),
        ("samples/alpha", "packs", f"{max(1, country.size // 40)}"),
        ("samples/beta", "packs", f"{max(1, country.size // 40)}"),
        ("supply/alpha", "packs", f"{country.size * 4}"),
        ("supply/beta", "packs", f"{country.size // (100 if step == _SHORT_SUPPLY_WEEK else 10)}"),
        ("hours/msl", "hours", f"{30 * country.msls}"),
    ]
    rows = shared + [(f"calls/T{number:03}", "calls", f"{_CALLS_A_WEEK}") for number in range(1, country.territories + 1)]
    frame = pl.DataFrame(rows, schema=("resource", "unit", "capacity"), orient="row")
    validity = {"valid_from": clock.text(step), "valid_to": clock.text(step + 1), "received_at": clock.text(step, 4 * HOUR)}
    return frame.with_columns(pl.lit(text).alias(name) for name, text in validity.items())


def _questions(country: Country, clock: _Clock, later: int) -> pl.DataFrame:
    """Every question of the whole time, asked in any hour; three in five are answered, within three weeks."""
    draw = generator(country.seed, "questions")
    weeks = clock.weeks + 1 + later
    count = max(4, country.size * weeks // 400)
    asked = clock.monday(later) - draw.integers(1, weeks * 7 * 24, count) * HOUR
    answered = np.where(draw.random(count) < 0.6, asked + draw.integers(1, 21 * 24, count) * HOUR, clock.monday(later + 99))
    return pl.DataFrame(
        {
            "hcp_id": country.ids[draw.integers(0, country.size, count)],
            "product": pl.Series(("alpha", "beta"))[draw.integers(0, 2, count)],
            "topic": pl.Series(("dosing", "interactions", "renal impairment"))[draw.integers(0, 3, count)],
            "asked": asked,
            "answered": answered,
        }
    ).sort("asked", "hcp_id")


def _inquiries(clock: _Clock, asked: pl.DataFrame, step: int) -> pl.DataFrame:
    """What is new since the delivery before: questions asked, and questions answered."""
    since, now = (clock.monday(step - 1) if step else 0), clock.monday(step)
    numbered = asked.with_row_index("number").with_columns(
        open=pl.col("asked").is_between(since, now, closed="left"), closed=pl.col("answered").is_between(since, now, closed="left")
    )
    if step:
        rows = numbered.filter(pl.col("open") | pl.col("closed")).with_columns(answered=pl.when("closed").then("answered"), received=now + 4 * HOUR)
    else:
        asked_then = numbered.filter("open").with_columns(answered=pl.lit(None, pl.Int64), received=pl.min_horizontal(pl.col("asked") + DAY, now))
        answered_then = numbered.filter("closed").with_columns(received=pl.min_horizontal(pl.col("answered") + DAY, now))
        rows = pl.concat([asked_then, answered_then])
    columns: dict[str, Cells] = {
        "inquiry_id": _names("q", rows["number"].cast(pl.Int64).to_numpy(), 6),
        "hcp_id": rows["hcp_id"],
        "product": rows["product"],
        "topic": rows["topic"],
        "asked_at": iso(rows["asked"]),
        "answered_at": iso(rows["answered"]),
        "received_at": iso(rows["received"]),
    }
    return _table(columns, rows.height)
