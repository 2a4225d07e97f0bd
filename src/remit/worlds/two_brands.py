"""A small generated country: two brands of ours and a competitor's in one basket, whose agents want the same physicians.

True response. In week w, physician h writes Poisson(base[h, p] x trend x (1 + response[h, p] x stock / (stock + 2))) prescriptions of our product p; the
stock of promotion keeps 0.7 of itself each week and gains 1 for a detail in first position, 0.6 in second, 0.3 for an e-mail. Calls follow volume, not
response. Reports lag by one to four weeks: a week is first reported a week after its end, grows for three more, and sometimes shrinks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from remit.terms.instants import HOUR, WEEK, parse_instant
from remit.worlds.country import PRODUCTS, Country, Floats, Ints, settle
from remit.worlds.deliveries import Delivery, generator, iso, iso_week, soil
from remit.worlds.dimensions import dimensions
from remit.worlds.promotion import Touches, promote

FIRST_CYCLE = parse_instant("2026-01-05T06:00:00Z")
"""The first instant at which a cycle has all history; later deliveries come a week apart, each two hours before its cycle."""

_MONDAY = FIRST_CYCLE - 6 * HOUR
_HCP_WEEKS_PER_FILE = 100_000
_REPORT_LAGS = 4


def two_brands(physicians: int, seed: int, *, weeks: int = 52, later: int = 4) -> Iterator[Delivery]:
    """The files of the country: history of `weeks` weeks up to `FIRST_CYCLE`, and `later` weekly deliveries that do not react to anything.

    Each delivery is in intake's native layout; its rows say when they were received. The same arguments give the same rows in any process; a file holds a
    bounded number of rows. About one row in two hundred is bad, on purpose.
    """
    country = settle(physicians, seed)
    calendar = _Calendar(weeks)
    for delivery in dimensions(country, calendar.starts, weeks, later):
        yield soil(delivery, seed)
    for delivery in _files(_weekly(country, calendar, weeks + later + 1), country, weeks, calendar):
        yield soil(delivery, seed)


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Week 0 is the first week of history; delivery k comes on the Monday that starts week k."""

    weeks: int

    def starts(self, week: int) -> int:
        return _MONDAY + (week - self.weeks - 1) * WEEK

    def delivered(self, week: int) -> str:
        return str(iso(pl.Series([self.starts(week) + 4 * HOUR]))[0])


def _weekly(country: Country, calendar: _Calendar, last: int) -> Iterator[tuple[int, pl.DataFrame, pl.DataFrame]]:
    """Delivery number, touches of the week before, prescription reports of the four weeks before that."""
    stock = np.zeros((country.size, 2))
    reports: list[_Report] = []
    for week in range(last):
        touches = promote(country, week)
        stock = 0.7 * stock + touches.strength
        delivery = week + 1
        rx = [report.rows(country, delivery - report.week - 1, calendar.delivered(delivery)) for report in reports]
        yield delivery, _touch_rows(country, touches, calendar, delivery), pl.concat(rx) if rx else pl.DataFrame()
        reports = [*reports, _Report(country, week, calendar.starts(week), _written(country, week, stock))][-_REPORT_LAGS:]


def _written(country: Country, week: int, stock: Floats) -> Ints:
    """Prescriptions written in the week, by HCP and product."""
    trend = np.array([1.0 + 0.002 * week, 1.0, 1.0 + 0.004 * week])
    lift = np.ones((country.size, len(PRODUCTS)))
    lift[:, :2] += country.response * stock / (stock + 2.0)
    written: Ints = generator(country.seed, "written", week).poisson(country.base * trend * lift)
    return written


class _Report:
    """What is known of one week's prescriptions, one to four weeks after its end."""

    def __init__(self, country: Country, week: int, start: int, written: Ints) -> None:
        draw = generator(country.seed, "report", week)
        self.week = week
        self._period = iso_week(start)
        first = draw.binomial(written, 0.8)
        second = first + draw.binomial(written - first, 0.6)
        taken_back = (draw.random(written.shape) < 0.003) & (second > 0)
        third = np.where(taken_back, second - 1, second + draw.binomial(written - second, 0.7))
        self._known = [first, second, third, np.where(taken_back, third, written)]
        self._new = draw.integers(0, 10, written.shape)

    def rows(self, country: Country, lag: int, received: str) -> pl.DataFrame:
        """The report of lag 1 (every covered HCP, zeros too), or what has changed since at lag 2 to 4."""
        trx = self._known[lag - 1]
        told = country.reported[:, None] & (np.ones_like(trx, dtype=bool) if lag == 1 else trx != self._known[lag - 2])
        hcp, product = np.nonzero(told)
        nrx = (trx * 3 + self._new) // 10
        return pl.DataFrame(
            {
                "hcp_id": country.ids[hcp],
                "product": pl.Series(PRODUCTS)[product],
                "period": pl.repeat(self._period, len(hcp), eager=True),
                "trx": trx[told],
                "nrx": nrx[told],
                "nbrx": ((nrx * 3 + self._new) // 10)[told],
                "received_at": pl.repeat(received, len(hcp), eager=True),
            }
        )


def _touch_rows(country: Country, touches: Touches, calendar: _Calendar, delivery: int) -> pl.DataFrame:
    count = len(touches.hcp)
    return pl.DataFrame(
        {
            "touch_id": pl.Series(np.arange(count)).cast(pl.String).str.replace("^", f"t{delivery:03}-"),
            "hcp_id": country.ids[touches.hcp],
            "channel": pl.Series(("call", "email", "msl_visit"))[touches.channel],
            "product": pl.Series(PRODUCTS)[touches.product],
            "position": pl.Series(touches.position).replace({0: None}),
            "purpose": pl.Series(("promotional", "promotional", "medical"))[touches.channel],
            "occurred_at": iso(pl.Series(calendar.starts(delivery - 1) + touches.minute * 60_000_000)),
            "received_at": pl.repeat(calendar.delivered(delivery), count, eager=True),
        }
    )


def _files(weekly: Iterator[tuple[int, pl.DataFrame, pl.DataFrame]], country: Country, weeks: int, calendar: _Calendar) -> Iterator[Delivery]:
    """History in files of bounded size, then one file a week."""
    block = max(1, min(13, _HCP_WEEKS_PER_FILE // country.size))
    touches: list[pl.DataFrame] = []
    rx: list[pl.DataFrame] = []
    for delivery, touched, reported in weekly:
        touches.append(touched)
        rx.extend([reported] if reported.height else [])
        later = delivery > weeks + 1
        if later or delivery % block == 0 or delivery == weeks + 1:
            name = iso_week(calendar.starts(delivery)) if later else f"history-{(delivery - 1) // block + 1:02}"
            yield Delivery("touches", name, pl.concat(touches))
            if rx:
                yield Delivery("rx", name, pl.concat(rx))
            touches, rx = [], []
