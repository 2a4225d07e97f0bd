"""A world: people, an equation, a week at a time. What it hands over is what a company would get; what it knows is the truth."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl

from remit.terms.encoding import MICRO
from remit.terms.instants import HOUR, WEEK, parse_instant
from remit.worlds import feeds
from remit.worlds.deliveries import Delivery, generator
from remit.worlds.description import Description
from remit.worlds.errors import WorldError
from remit.worlds.population import Flags, Floats, Ints, People, settle
from remit.worlds.reporting import Pending, counted, tell
from remit.worlds.touching import ACTIONS, Touches, plan, touches_of
from remit.worlds.truth import REMEMBERED, Moment, base, direct_lift, increments, lift

FIRST_CYCLE = parse_instant("2026-01-05T06:00:00Z")
"""The instant of the first cycle after the history; cycles come a week apart, each two hours after its deliveries."""


@dataclass(frozen=True, slots=True)
class Week:
    """What a week brought: the files handed over at its end, and the truth that no company sees: `expected[h, p]` prescriptions and contacts per HCP."""

    deliveries: tuple[Delivery, ...]
    expected: Floats
    contacts: Ints


@dataclass(frozen=True, slots=True)
class _State:
    moment: Moment
    consent: Ints
    vacant: tuple[Flags, ...]
    pending: tuple[Pending, ...]
    scale: Floats
    withheld: tuple[Delivery, ...]


class World:
    """A country that moves on a week with each `step`. The same description, size, seed and actions give the same bytes in any process.

    `copy` lets several policies live the same past; `dump` and `load` keep a world between processes.
    """

    def __init__(self, description: Description, people: People, seed: int, state: _State) -> None:
        self.description, self.people, self.seed, self._state = description, people, seed, state

    @classmethod
    def build(cls, description: Description, physicians: int, seed: int) -> "World":
        """The world at the beginning of its history, `physicians` strong. Raises `WorldError` for fewer than ten."""
        if physicians < 10:
            raise WorldError(f"a world of {physicians} physicians is too small", do="Ask for ten or more.")
        people = settle(description, physicians, seed)
        draw = generator(seed, "wishes/channels")
        consent = np.stack([_wishes(draw, channel.opt_in, channel.opt_out, physicians) for channel in description.channels])
        for place, channel in enumerate(description.channels):
            if channel.name == "call":
                consent[place, people.no_see] = -1
        moment = Moment(
            0,
            np.zeros((len(description.channels), physicians, len(description.own))),
            np.zeros(physicians),
            np.zeros((physicians, len(description.own))),
            people.tier,
        )
        vacant = tuple(generator(seed, f"vacant/{team.force.name}").random(team.territories) < team.force.vacant for team in people.teams)
        return cls(description, people, seed, _State(moment, consent, vacant, (), np.ones(len(description.products)), ()))

    @property
    def week(self) -> int:
        """Weeks since the first cycle; below 0 in the history."""
        return self._state.moment.week - self.description.history

    @property
    def now(self) -> int:
        """The instant of the cycle that this week begins with (UTC microseconds)."""
        return FIRST_CYCLE + self.week * WEEK

    @property
    def pressure(self) -> Floats:
        """Contacts that each HCP still feels."""
        return self._state.moment.pressure

    def copy(self) -> "World":
        """A world with the same past, whose future is its own."""
        return World(self.description, self.people, self.seed, self._state)

    def opening(self) -> Iterator[Delivery]:
        """The files of slowly changing facts as they stand, for a company that begins now."""
        return feeds.opening(self.description, self.people, self._state.consent, self._state.moment.tier, self._state.vacant, self.now)

    def plan(self) -> pl.DataFrame:
        """What a company would do this week by its plain call plan: calls by volume, e-mails by turn. Columns as `step` takes them."""
        return plan(self.description, self.people, self._state.consent, self._state.vacant, self._state.moment.week, self.seed)

    def step(self, actions: pl.DataFrame) -> Week:
        """Lives one week in which `actions` are done, and hands over its files on the Monday after.

        `actions`: hcp_id, channel, product, content_id (text, nullable), position (in a call: 1 to 3; else null), decision (text, nullable). Raises
        `WorldError` naming what is not of this world.
        """
        world, people, state, seed = self.description, self.people, self._state, self.seed
        touches = touches_of(world, people, actions, state.moment.week, seed)
        moment = _touched(world, people, state.moment, touches)
        quiet = base(world, people, moment)
        direct = direct_lift(world, people, moment)
        more = quiet[:, world.own] * lift(world, people, moment, direct)
        written = generator(seed, "written", moment.week).poisson(quiet)
        written[:, world.own] += generator(seed, "moved", moment.week).poisson(more)
        expected = quiet.copy()
        expected[:, world.own] += more
        scale = _scale(world, moment.week + 1, state.scale)
        pending = (*state.pending, _fresh(moment.week, counted(written, state.scale, seed, moment.week)))
        starts = {report.week: self._monday(report.week) for report in pending}
        pending, reported = tell(world, people, pending, moment.week + 1, starts, seed)
        consent, left = _leaving(world, state.consent, moment, seed)
        tier, moved = _formulary(world, moment, seed)
        vacant = _vacancies(world, people, state.vacant, moment.week + 1, seed)
        received = self._monday(moment.week + 1) + 4 * HOUR
        files = feeds.weekly(
            world, people, received, reported, feeds.touch_rows(world, people, touches, self._monday(moment.week), seed), consent, left, tier, moved,
            state.vacant, vacant, moment.week + 1, seed,
        )  # fmt: skip
        files, withheld = _held_back(world, moment.week + 1, (*state.withheld, *files), received)
        self._state = _State(replace(moment, week=moment.week + 1, lift=direct, tier=tier), consent, vacant, pending, scale, withheld)
        return Week(files, expected, np.bincount(touches.hcp[touches.first], minlength=people.size))

    def expected(self) -> Floats:
        """What each HCP would be expected to write of each product this week if nobody did anything: (HCPs, products)."""
        world, people = self.description, self.people
        moment = _touched(world, people, self._state.moment, touches_of(world, people, pl.DataFrame(schema=ACTIONS), self._state.moment.week, self.seed))
        quiet = base(world, people, moment)
        quiet[:, world.own] *= 1.0 + lift(world, people, moment, direct_lift(world, people, moment))
        return quiet

    def responses(self, most: int, horizon: int) -> pl.DataFrame:
        """The truth that a model tries to learn: hcp_id, product, channel, touch, `increment` (int64 micro-units over `horizon` weeks), by HCP and product."""
        world, size = self.description, self.people.size
        gains = increments(world, self.people, self._state.moment, most, horizon)
        names = [world.products[place].name for place in world.own]
        rows = size * len(names) * most
        frames = [
            pl.DataFrame(
                {
                    "hcp_id": self.people.ids[np.repeat(np.arange(size), len(names) * most)],
                    "product": pl.Series(names)[np.tile(np.repeat(np.arange(len(names)), most), size)],
                    "channel": pl.repeat(channel.name, rows, dtype=pl.String, eager=True),
                    "touch": np.tile(np.arange(1, most + 1), size * len(names)),
                    "increment": np.rint(gain.ravel() * MICRO).astype(np.int64),
                }
            )
            for channel, gain in zip(world.channels, gains, strict=True)
        ]
        return pl.concat(frames).sort("hcp_id", "product", "channel", "touch")

    def dump(self) -> bytes:
        """What must be kept to go on in another process, beside description, size and seed."""
        state = self._state
        arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
            "stock": state.moment.stock,
            "pressure": state.moment.pressure,
            "lift": state.moment.lift,
            "tier": state.moment.tier,
            "consent": state.consent,
            "scale": state.scale,
            **{f"vacant-{place}": flags for place, flags in enumerate(state.vacant)},
            **{f"written-{report.week}": report.written for report in state.pending},
            **{f"told-{report.week}": report.told for report in state.pending},
        }
        held = [
            {"feed": item.feed, "name": item.name, "columns": item.rows.columns, "rows": item.rows.cast(pl.String).write_ndjson()} for item in state.withheld
        ]
        about = {"week": state.moment.week, "pending": [report.week for report in state.pending], "withheld": held}
        buffer = BytesIO()
        np.savez(buffer, allow_pickle=False, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, description: Description, physicians: int, seed: int, data: bytes) -> "World":
        """The world that `dump` wrote. Raises `WorldError` for bytes that are none."""
        people = settle(description, physicians, seed)
        try:
            with np.load(BytesIO(data), allow_pickle=False) as kept:
                about = json.loads(kept["about"].tobytes())
                moment = Moment(int(about["week"]), kept["stock"], kept["pressure"], kept["lift"], kept["tier"])
                pending = tuple(Pending(week, kept[f"written-{week}"], kept[f"told-{week}"]) for week in about["pending"])
                vacant = tuple(kept[f"vacant-{place}"] for place in range(len(people.teams)))
                state = _State(moment, kept["consent"], vacant, pending, kept["scale"], tuple(_delivery(item) for item in about["withheld"]))
        except (ValueError, KeyError, OSError, EOFError, BadZipFile, pl.exceptions.PolarsError) as error:
            raise WorldError(f"the world's state cannot be read: {error}", do="Restore it from a copy: it is not made anew.") from None
        if len(moment.pressure) != physicians:
            raise WorldError(f"the world's state is of {len(moment.pressure)} physicians, not {physicians}", do="Restore the world file it belongs to.")
        return cls(description, people, seed, state)

    def _monday(self, week: int) -> int:
        return FIRST_CYCLE - 6 * HOUR + (week - self.description.history) * WEEK


def _wishes(draw: np.random.Generator, opt_in: float, opt_out: float, physicians: int) -> Ints:
    ticket = draw.random(physicians)
    return np.where(ticket < opt_in, 1, np.where(ticket < opt_in + opt_out, -1, 0)).astype(np.int64)


def _touched(world: Description, people: People, moment: Moment, touches: Touches) -> Moment:
    stock = moment.stock.copy()
    for place, channel in enumerate(world.channels):
        stock[place] *= channel.carry_over
        of = touches.channel == place
        np.add.at(stock[place], (touches.hcp[of], touches.brand[of]), touches.strength[of])
    pressure = REMEMBERED * moment.pressure + np.bincount(touches.hcp[touches.first], minlength=people.size)
    return replace(moment, stock=stock, pressure=pressure)


def _fresh(week: int, written: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> Pending:
    return Pending(week, written, np.zeros_like(written))


def _scale(world: Description, week: int, scale: Floats) -> Floats:
    answer = scale.copy()
    for event in world.events:
        if event.kind == "restatement" and week == world.history + event.week:
            answer[[product.name for product in world.products].index(event.product)] *= event.factor
    return answer


def _leaving(world: Description, consent: Ints, moment: Moment, seed: int) -> tuple[Ints, Flags]:
    """Consent after the week, and who left: more under more pressure."""
    ticket = generator(seed, "leaving", moment.week).random(consent.shape)
    urge = 1.0 + np.maximum(0.0, moment.pressure - world.tolerance)
    left: Flags = (consent >= 0) & (ticket < np.array([channel.leaving for channel in world.channels])[:, None] * urge)
    return np.where(left, -1, consent), left


def _formulary(world: Description, moment: Moment, seed: int) -> tuple[Ints, Flags]:
    """The formulary of the next week, and which practices and products it changed for."""
    tier = moment.tier.copy()
    for number, event in enumerate(world.events):
        if event.kind == "formulary" and moment.week + 1 == world.history + event.week:
            place = [product.name for product in world.products].index(event.product)
            hit = generator(seed, f"formulary/{number}").random(len(tier)) < event.share
            tier[hit, place] = feeds.TIERS.index(event.tier)
    return tier, tier != moment.tier


def _vacancies(world: Description, people: People, vacant: tuple[Flags, ...], week: int, seed: int) -> tuple[Flags, ...]:
    answer = []
    for team, flags in zip(people.teams, vacant, strict=True):
        now = flags.copy()
        for number, event in enumerate(world.events):
            hit = generator(seed, f"vacancies/{number}/{team.force.name}").random(team.territories) < event.share
            if event.kind == "vacancies" and week == world.history + event.week:
                now |= hit
            if event.kind == "vacancies" and week == world.history + event.week + event.weeks:
                now &= ~hit
        answer.append(now)
    return tuple(answer)


def _held_back(world: Description, week: int, files: tuple[Delivery, ...], received: int) -> tuple[tuple[Delivery, ...], tuple[Delivery, ...]]:
    """Files handed over now, and those of feeds that have stopped; what was held back comes on the day it comes, a second apart and in order."""
    stopped = {e.feed for e in world.events if e.kind == "feed_stops" and world.history + e.week <= week < world.history + e.week + e.weeks}
    passed: list[Delivery] = []
    for item in files:
        if item.feed not in stopped:
            second = sum(1 for before in passed if before.feed == item.feed) * 1_000_000
            passed.append(replace(item, rows=item.rows.with_columns(pl.lit(feeds.text(received + second)).alias("received_at"))))
    return tuple(passed), tuple(item for item in files if item.feed in stopped)


def _delivery(item: Mapping[str, Any]) -> Delivery:
    schema = dict.fromkeys(item["columns"], pl.String)
    return Delivery(item["feed"], item["name"], pl.read_ndjson(BytesIO(item["rows"].encode()), schema=schema) if item["rows"] else pl.DataFrame(schema=schema))
