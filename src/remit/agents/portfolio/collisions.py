"""Where pilots are in each other's way: the same HCPs, metrics that pull apart, data that disagree, and what nobody has settled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from remit.agents.portfolio.columns import plain
from remit.agents.portfolio.pilots import ACTING, Metric, Pilot
from remit.terms.instants import DAY, add_span
from remit.terms.people import People

KINDS = ("contacts", "metrics", "refresh", "governance")

_ACTIVITY = {
    "call",
    "calls",
    "contact",
    "contacts",
    "touch",
    "touches",
    "email",
    "emails",
    "visit",
    "visits",
    "detail",
    "details",
    "reach",
    "frequency",
    "sends",
}
_DEMAND = {"trx", "nrx", "nbrx", "rx", "prescription", "prescriptions", "sales", "share", "starts", "volume", "revenue", "value", "writers", "opens", "clicks"}
_DEMAND |= {"engagement", "uptake", "adoption"}
_BURDEN = {"fatigue", "complaint", "complaints", "opt", "optouts", "unsubscribe", "unsubscribes", "pressure", "burden", "overload", "saturation"}
_COST = {"cost", "costs", "spend", "spending", "budget", "expense", "expenses", "hours", "mileage"}
_NOISE = {
    "up",
    "down",
    "more",
    "less",
    "fewer",
    "reduce",
    "reduced",
    "increase",
    "increased",
    "of",
    "the",
    "per",
    "in",
    "by",
    "and",
    "rate",
    "number",
    "total",
    "out",
    "outs",
}
"""Words of metrics: what rises with contacts, what falls with them, what says nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Reach:
    """HCPs whom two pilots reach in the same channel and week: `hcps`, and the `channel`. `expected` says that it is worked out from universes and cadence and
    not counted, and is then at least `least` and at most `most`."""

    channel: str
    hcps: int
    expected: bool = False
    least: int = 0
    most: int = 0


class Overlaps(Protocol):
    """What is known of whom two pilots reach."""

    def shared(self, one: Pilot, other: Pilot) -> Sequence[Reach]:
        """Per channel of both, the HCPs that both reach in one week; none where they share no channel."""
        ...

    def common(self, one: Pilot, other: Pilot) -> int | None:
        """HCPs that both are for, whatever the channel; None where nobody can say."""
        ...


@dataclass(frozen=True, slots=True)
class Collision:
    """`pilots` who, `what`, how many `hcps` (None: not known, or not about HCPs), `why` it matters, whom to `ask`."""

    kind: str
    pilots: tuple[str, ...]
    what: str
    hcps: int | None
    why: str
    ask: tuple[str, ...]


def collisions(pilots: Iterable[Pilot], overlaps: Overlaps, people: People, now: int) -> list[Collision]:
    """Every collision among pilots that act (`ACTING`), those over most HCPs first within their kind. `people` are those on file, `now` is in UTC
    microseconds."""
    acting = sorted((pilot for pilot in pilots if pilot.status in ACTING), key=lambda pilot: pilot.id)
    found: list[Collision] = []
    for one, other in combinations(acting, 2):
        ask = _owners((one, other), people, now)
        found += [_contacts(one, other, reach, ask) for reach in overlaps.shared(one, other) if reach.hcps or reach.most]
        pull = opposed(one, other)
        if pull is not None:
            found.append(Collision("metrics", (one.id, other.id), pull[0], overlaps.common(one, other), pull[1], ask))
    found += _refresh(acting, people, now)
    found += [each for pilot in acting for each in _governance(pilot, people, now)]
    return sorted(found, key=lambda each: (KINDS.index(each.kind), -(each.hcps or 0), each.pilots, each.what))


def _contacts(one: Pilot, other: Pilot, reach: Reach, ask: tuple[str, ...]) -> Collision:
    here = [pilot.id for pilot in (one, other) if pilot.charter]
    what = f"both {'propose' if len(here) == 2 else 'contact'} the same HCPs by {reach.channel} in one week"
    if reach.expected:
        what += f" (worked out from what each is for and how much it plans: between {reach.least:,} and {reach.most:,})"
    if len(here) == 2:
        why = "Only one of them may be worth the HCP's time: the arbiter chooses, and `remit portfolio compare` shows what each displaced."
    else:
        products = sorted(set(one.products) & set(other.products))
        about = f" about {', '.join(products)}" if products else ""
        known = f"{here[0]} is told of the other's contacts at best afterwards" if here else "neither knows of the other's contact"
        why = f"An HCP hears twice{about}, each counts the effect as its own, and {known}."
    return Collision("contacts", (one.id, other.id), what, reach.hcps, why, ask)


def opposed(one: Pilot, other: Pilot) -> tuple[str, str] | None:
    """What is opposed or incompatible in two pilots' metrics, and why that matters; None if nothing is. Only pilots of one product (a pilot that names none is
    for all) and one purpose are compared: points of medical work are compared with no money."""
    if one.metric is None or other.metric is None or one.purpose != other.purpose or not _products(one, other):
        return None
    on = _products(one, other)
    first, second = one.metric, other.metric
    same = bool(_subject(first) & _subject(second))
    if same and {first.direction, second.direction} == {"up", "down"}:
        up, down = (first, second) if first.direction == "up" else (second, first)
        return f"for {on} one wants more {up.name} and the other less {down.name}", "What one gains the other counts as a loss: both cannot reach their goals."
    if pull(first) * pull(second) < 0:
        more, less = (first, second) if pull(first) > 0 else (second, first)
        what = f"for {on} `{more.name}` grows with contacts and `{less.name}` wants fewer of them"
        return what, "One is rewarded for contacting the physicians whom the other is rewarded for leaving alone."
    if pull(first) > 0 and pull(second) > 0 and _is(first, _DEMAND) and _is(second, _DEMAND) and _measure(first) != _measure(second):
        what = f"for {on} one is measured by {_said(first)}, the other by {_said(second)}"
        return (
            what,
            "Both claim the same physicians' prescriptions in units that cannot be added or compared: the sum of what they report is not what was gained.",
        )
    return None


def pull(metric: Metric) -> int:
    """1 where the metric is better with more contacts, -1 where it is better with fewer, 0 where its words or its direction do not say.

    More demand (prescriptions, sales, engagement) and more activity (calls, e-mails) pull up; less activity, less burden (opt-outs, complaints, fatigue) and
    less cost pull down.
    """
    if _is(metric, _BURDEN) or _is(metric, _COST):
        return -1 if metric.direction == "down" else 0
    if _is(metric, _ACTIVITY | _DEMAND):
        return {"up": 1, "down": -1}.get(metric.direction, 0) if _is(metric, _ACTIVITY) else int(metric.direction == "up")
    return 0


def _is(metric: Metric, words: set[str]) -> bool:
    return bool(set(plain(metric.name).split()) & words)


def _subject(metric: Metric) -> set[str]:
    """The words that say what is counted."""
    return set(plain(metric.name).split()) - _NOISE


def _measure(metric: Metric) -> tuple[frozenset[str], str]:
    return frozenset(_subject(metric) & _DEMAND), plain(metric.unit)


def _said(metric: Metric) -> str:
    return f"{metric.name} ({metric.unit})" if metric.unit and plain(metric.unit) != plain(metric.name) else metric.name


def _products(one: Pilot, other: Pilot) -> str:
    """The products of both, in words; "" if there is none."""
    if one.products and other.products:
        return ", ".join(sorted(set(one.products) & set(other.products)))
    return ", ".join(one.products or other.products) or "all products"


def _refresh(pilots: Sequence[Pilot], people: People, now: int) -> list[Collision]:
    """One collision for each source that pilots renew at different intervals."""
    found = []
    for source in sorted({name for pilot in pilots for name in pilot.sources}):
        readers = [pilot for pilot in pilots if pilot.sources.get(source)]
        by: dict[int, list[Pilot]] = {}
        for pilot in readers:
            by.setdefault(add_span(0, pilot.sources[source]), []).append(pilot)
        if len(by) < 2:
            continue
        spans = sorted(by)
        told = "; ".join(f"every {by[each][0].sources[source]}: {', '.join(pilot.id for pilot in by[each])}" for each in spans)
        days = f"{(spans[-1] - spans[0]) / DAY:,.0f} days" if spans[-1] - spans[0] >= DAY else "hours"
        why = f"They decide about the same physicians by what was known up to {days} apart: the opt-out that one has seen, the other has not."
        who = tuple(pilot.id for pilot in readers)
        found.append(Collision("refresh", who, f"`{source}` is renewed {told}", None, why, _owners(readers, people, now)))
    return found


def _governance(pilot: Pilot, people: People, now: int) -> list[Collision]:
    """What is missing of one pilot that acts."""
    on_file = pilot.owner in people and people[pilot.owner].active(now)
    gaps = []
    if not on_file:
        gone = "is no longer on file" if pilot.owner in people else "is not in the file of people"
        gaps.append((f"its owner `{pilot.owner}` {gone}" if pilot.owner else "it has no owner", "Nobody answers for what it does."))
    if not pilot.stop_contact:
        gaps.append(("it has no stop contact", "When it does harm, nobody knows whom to call to stop it."))
    if pilot.metric is None:
        gaps.append(("it has no metric", "It can neither succeed nor fail."))
    elif not pilot.metric.direction:
        gaps.append((f"of its metric `{pilot.metric.name}` nobody has said whether more or less is better", "It can be called a success either way."))
    if pilot.expires is not None and pilot.expires <= now:
        gaps.append(("its term has ended", "It acts without a mandate."))
    if pilot.purpose == "promotional" and not pilot.holdout:
        gaps.append(("nobody is left alone" if pilot.holdout is False else "nobody has said whether anybody is left alone", "What it changes cannot be known."))
    if pilot.purpose == "promotional" and not pilot.content_review:
        gaps.append((
            "its content is not reviewed" if pilot.content_review is False else "nobody has said whether its content is reviewed",
            "It may say what MLR has never seen.",
        ))  # fmt: skip
    return [Collision("governance", (pilot.id,), what, None, why, _owners((pilot,), people, now)) for what, why in gaps]


def _owners(pilots: Iterable[Pilot], people: People, now: int) -> tuple[str, ...]:
    """Whom to ask: owners on file, of a pilot without one its stop contact, else whoever has the register."""
    ask = (pilot.owner if pilot.owner in people and people[pilot.owner].active(now) else pilot.stop_contact or f"whoever listed {pilot.id}" for pilot in pilots)
    return tuple(dict.fromkeys(ask))


def by_kind(found: Iterable[Collision]) -> Mapping[str, int]:
    """How many of each kind."""
    counted = dict.fromkeys(KINDS, 0)
    for each in found:
        counted[each.kind] += 1
    return counted
