"""The files of a world, in intake's native layout: what stands at the beginning, and what each week brings."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from remit.terms.instants import HOUR, WEEK
from remit.worlds.deliveries import Delivery, generator, iso, iso_week
from remit.worlds.description import TIERS, Description
from remit.worlds.population import Flags, Ints, People, Team
from remit.worlds.reporting import brick_ids
from remit.worlds.touching import VISIT, Touches

__all__ = ["HOURS_A_VISIT", "TIERS", "opening", "text", "touch_rows", "weekly"]

_ALWAYS = "2024-01-01T00:00:00Z"
HOURS_A_VISIT = 1.5
"""What a visit of an MSL takes."""


def text(instant: int) -> str:
    """ISO 8601 text of an instant."""
    return str(iso(pl.Series([instant]))[0])


def opening(world: Description, people: People, consent: Ints, tier: Ints, vacant: tuple[Flags, ...], now: int) -> Iterator[Delivery]:
    """Every slowly changing fact as it stands, known since the history began."""
    received, monday = text(now - 2 * HOUR), now - 6 * HOUR
    everyone = np.arange(people.size)
    yield Delivery("products", "opening", _stamped(_products(world), _ALWAYS, None, received))
    yield Delivery("content", "opening", _stamped(_content(world), _ALWAYS, None, received))
    yield Delivery("hcp", "opening", _stamped(_hcp(world, people, everyone, people.pdrp), _ALWAYS, None, received))
    yield Delivery("consent", "opening", _stamped(_consent(world, people, consent, consent != 0), _ALWAYS, None, received))
    yield Delivery("formulary", "opening", _stamped(_formulary(world, tier, np.ones(tier.shape, bool)), _ALWAYS, None, received))
    if people.peers.shape[1]:
        yield Delivery("peers", "opening", _stamped(_peers(people), _ALWAYS, None, received))
    covered = [_alignments(people, team, ~flags) for team, flags in zip(people.teams, vacant, strict=True)]
    yield Delivery("alignments", "opening", _stamped(pl.concat(covered), _ALWAYS, None, received))
    yield Delivery("resources", "opening", _stamped(_resources(world, people, vacant, 0 - world.history), text(monday), text(monday + WEEK), received))


def weekly(
    world: Description, people: People, received: int, reported: pl.DataFrame, touched: pl.DataFrame, consent: Ints, left: Flags, tier: Ints, moved: Flags,
    before: tuple[Flags, ...], vacant: tuple[Flags, ...], week: int, seed: int,
) -> tuple[Delivery, ...]:  # fmt: skip
    """The files handed over at `received`, the start of week `week`: the week's touches, reports of prescriptions, and whatever changed. A feed without news
    hands over one row that it has told before, so that its age is known."""
    at, monday = text(received), received - 4 * HOUR
    name = iso_week(monday)
    stamp = pl.lit(at).alias("received_at")
    files = [Delivery("touches", name, touched.with_columns(stamp))]
    if reported.height:
        counts = reported.with_columns(stamp, nrx=pl.lit(None, pl.Int64), nbrx=pl.lit(None, pl.Int64))
        files.append(Delivery("brick_rx" if "brick_id" in reported.columns else "rx", name, counts))
    since, one = text(monday), np.arange(1)
    again = _stamped(_hcp(world, people, one, people.pdrp), _ALWAYS, None, at)
    files.append(Delivery("hcp", name, again))
    files.append(Delivery("consent", name, _consent_news(world, people, consent, left, since, at)))
    changed = [_alignment_news(people, team, old, new, since, at) for team, old, new in zip(people.teams, before, vacant, strict=True)]
    files.append(Delivery("alignments", name, pl.concat([_first_alignment(people, vacant, at), *changed]).unique(maintain_order=True)))
    first = np.zeros(tier.shape, bool)
    first[0] = True
    told = moved if moved.any() else first
    files.append(Delivery("formulary", name, _stamped(_formulary(world, tier, told), since if moved.any() else _ALWAYS, None, at)))
    if people.peers.shape[1]:
        files.append(Delivery("peers", name, _stamped(_peers(people).head(1), _ALWAYS, None, at)))
    files.append(Delivery("products", name, _stamped(_products(world), _ALWAYS, None, at)))
    files.append(Delivery("content", name, _stamped(_content(world), _ALWAYS, None, at)))
    files.append(Delivery("resources", name, _stamped(_resources(world, people, vacant, week - world.history), since, text(monday + WEEK), at)))
    asked = _inquiries(world, people, week, monday, seed)
    if asked.height:
        files.append(Delivery("inquiries", name, asked.with_columns(stamp)))
    return tuple(files)


def touch_rows(world: Description, people: People, touches: Touches, monday: int, seed: int) -> pl.DataFrame:
    """The week's touches without `received_at`. `engaged` (opened, or a call that was welcome) shows response as plainly as the channel's `shown` says."""
    count = len(touches.hcp)
    names = pl.Series([*(channel.name for channel in world.channels), VISIT])
    order = np.lexsort((touches.position, touches.hcp, touches.minute))
    hcp, channel = touches.hcp[order], touches.channel[order]
    own = pl.Series([world.products[place].name for place in world.own])
    number = pl.Series(np.arange(count)).cast(pl.String)
    return pl.DataFrame(
        {
            "touch_id": number.str.replace("^", f"t{iso_week(monday)}-"),
            "hcp_id": people.ids[hcp],
            "channel": names[np.where(channel >= 0, channel, len(world.channels))],
            "product": own[touches.brand[order]],
            "position": pl.Series(touches.position[order]).replace({0: None}),
            "purpose": pl.Series(("promotional", "medical"))[(channel < 0).astype(np.int64)],
            "engaged": _engaged(world, people, hcp, channel, touches.brand[order], monday, seed),
            "content_id": touches.content[order],
            "decision": touches.decision[order],
            "occurred_at": iso(pl.Series(monday + touches.minute[order] * 60_000_000)),
        }
    )


def _engaged(world: Description, people: People, hcp: Ints, channel: Ints, brand: Ints, monday: int, seed: int) -> pl.Series:
    """Whether the physician took it up: one in three where nothing shows, more among those who respond more than most."""
    chance = np.full(len(hcp), 1 / 3)
    for place, each in enumerate(world.channels):
        of = channel == place
        response = people.response[place][hcp[of], brand[of]] / each.effect if each.effect else np.ones(int(of.sum()))
        chance[of] = 1 / (1 + 2 * np.exp(-each.shown * np.log(np.maximum(response, 0.05))))
    ticket = generator(seed, "engaged", monday // WEEK).random(len(hcp))
    return pl.Series(np.where(ticket < chance, "true", "false").tolist(), dtype=pl.String)


def _stamped(rows: pl.DataFrame, valid_from: str, valid_to: str | None, received: str) -> pl.DataFrame:
    stamps = {"valid_from": valid_from, "valid_to": valid_to, "received_at": received}
    return rows.with_columns(pl.lit(value, pl.String).alias(name) for name, value in stamps.items())


def _padded(prefix: str, numbers: Ints, digits: int) -> pl.Series:
    return pl.Series(numbers + 1).cast(pl.String).str.zfill(digits).str.replace("^", prefix)


def _flags(flags: Flags) -> pl.Series:
    return pl.Series(("false", "true"))[flags.astype(np.int64)]


def _products(world: Description) -> pl.DataFrame:
    rows = [
        (product.name, product.name.capitalize(), product.basket, "true" if product.own else "false", "trx", product.value_minor, world.currency)
        for product in world.products
    ]
    return pl.DataFrame(rows, schema=["product", "brand", "basket", "own", "outcome", "value_minor", "currency"], orient="row")


def _content(world: Description) -> pl.DataFrame:
    """Per brand and topic a detail aid, an e-mail module and a medical reply, all approved."""
    kinds = (("detail", "call", "promotional"), ("email", "email", "promotional"), ("reply", VISIT, "medical_reply"))
    rows = [
        (f"{world.products[place].name}-{kind}-{topic}", world.products[place].name, channel, communication, topic, "approved")
        for place in world.own
        for kind, channel, communication in kinds
        for topic in world.topics
    ]
    return pl.DataFrame(rows, schema=["content_id", "product", "channel", "communication_type", "topic", "status"], orient="row")


def _hcp(world: Description, people: People, who: Ints, pdrp: Flags) -> pl.DataFrame:
    confidence = people.confidence[who]
    rows = pl.DataFrame(
        {
            "hcp_id": people.ids[who],
            "specialty": pl.Series([kind.name for kind in world.specialties])[people.specialty[who]],
            "practice_id": _padded("P", people.practice[who], 7),
            "practice_size": people.practice_size[who],
            "practice_population": pl.Series([kind.name for kind in world.populations])[people.population[who]],
            "rural": _flags(people.rural[who]),
            "zone": pl.Series(world.zones)[people.zone[who]],
            "match_confidence": pl.Series([f"{value / 100:.2f}" for value in range(101)])[confidence],
            "pdrp": _flags(pdrp[who]),
        }
    )
    if world.reports.level != "brick":
        return rows
    brick = people.brick[who]
    return rows.with_columns(brick_id=brick_ids(brick), brick_size=pl.Series(np.bincount(people.brick)[brick]))


def _consent(world: Description, people: People, consent: Ints, said: Flags) -> pl.DataFrame:
    """The wishes of those in `said` (channels, HCPs)."""
    place, hcp = np.nonzero(said)
    return pl.DataFrame(
        {
            "hcp_id": people.ids[hcp],
            "channel": pl.Series([channel.name for channel in world.channels])[place],
            "purpose": pl.repeat("promotional", len(hcp), dtype=pl.String, eager=True),
            "status": pl.Series(("opt_out", "opt_in"))[(consent[place, hcp] > 0).astype(np.int64)],
        }
    )


def _consent_news(world: Description, people: People, consent: Ints, left: Flags, since: str, received: str) -> pl.DataFrame:
    if left.any():
        return _stamped(_consent(world, people, consent, left), since, None, received)
    again = np.zeros(consent.shape, bool)
    known = np.argwhere(consent != 0)
    if len(known):
        again[tuple(known[0])] = True
    return _stamped(_consent(world, people, consent, again), since, None, received)


def _alignments(people: People, team: Team, staffed: Flags) -> pl.DataFrame:
    """Who covers whom, in the territories that have somebody."""
    return _aligned(people, team, np.append(staffed, False)[team.territory])


def _aligned(people: People, team: Team, inside: Flags) -> pl.DataFrame:
    who = np.flatnonzero(inside & (team.territory >= 0))
    force, prefix = team.force, "msl" if team.force.channel == VISIT else "rep"
    places = pl.DataFrame(
        {
            "rep_id": _padded(f"{prefix}-{force.name}-", team.territory[who], 4),
            "territory": _padded(f"{force.name}-T", team.territory[who], 4),
            "hcp_id": people.ids[who],
        }
    )
    return places.with_columns(sales_force=pl.lit(force.name), exclusive=pl.lit("true" if force.exclusive else "false")).join(
        pl.DataFrame({"product": list(force.products)}, schema={"product": pl.String}), how="cross", maintain_order="left_right"
    )


def _alignment_news(people: People, team: Team, before: Flags, after: Flags, since: str, received: str) -> pl.DataFrame:
    """Territories that fell vacant end; territories that were filled begin."""
    ended, begun = np.append(~before & after, False), np.append(before & ~after, False)
    ends = _stamped(_aligned(people, team, ended[team.territory]), _ALWAYS, since, received)
    return pl.concat([ends, _stamped(_aligned(people, team, begun[team.territory]), since, None, received)])


def _first_alignment(people: People, vacant: tuple[Flags, ...], received: str) -> pl.DataFrame:
    """One alignment that stands as it did."""
    for team, empty in zip(people.teams, vacant, strict=True):
        staffed = np.flatnonzero(~empty)
        if staffed.size:
            inside = np.zeros(people.size, bool)
            inside[np.flatnonzero(team.territory == staffed[0])[:1]] = True
            return _stamped(_aligned(people, team, inside), _ALWAYS, None, received)
    return _stamped(_aligned(people, people.teams[0], np.zeros(people.size, bool)), _ALWAYS, None, received)


def _formulary(world: Description, tier: Ints, told: Flags) -> pl.DataFrame:
    practice, product = np.nonzero(told)
    return pl.DataFrame(
        {
            "practice_id": _padded("P", practice, 7),
            "product": pl.Series([product.name for product in world.products])[product],
            "tier": pl.Series(TIERS)[tier[practice, product]],
        }
    )


def _peers(people: People) -> pl.DataFrame:
    """Whom each HCP follows: neighbours as referrals, those of the specialty anywhere as nominations."""
    count, degree = people.peers.shape
    kind = pl.Series(["referral"] * (degree // 2) + ["nomination"] * (degree - degree // 2))
    ties = pl.DataFrame(
        {
            "hcp_id": people.ids[np.repeat(np.arange(count), degree)],
            "peer_id": people.ids[people.peers.ravel()],
            "kind": kind[np.tile(np.arange(degree), count)],
        }
    )
    return ties.filter(pl.col("hcp_id") != pl.col("peer_id")).unique(maintain_order=True)


def _resources(world: Description, people: People, vacant: tuple[Flags, ...], week: int) -> pl.DataFrame:
    """What there is in week `week` of the run."""
    rows = [("sends", "e-mails", f"{max(1, round(people.size * world.sends))}"), ("budget/email", world.currency, _money(world.budget_minor * people.size))]
    for name, each in world.supply.items():
        short = [event.factor for event in world.events if event.kind == "shortage" and event.product == name and event.week <= week < event.week + event.weeks]
        rows.append((f"supply/{name}", "packs", f"{max(0, round(people.size * each * float(np.prod(short))))}"))
    for team, empty in zip(people.teams, vacant, strict=True):
        if team.force.channel == VISIT:
            kind, unit, each_week = "hours", "hours", f"{team.force.visits * HOURS_A_VISIT:g}"
        else:
            kind, unit, each_week = "calls", "calls", f"{team.force.visits}"
        names = _padded(f"{kind}/{team.force.name}-T", np.arange(team.territories), 4).to_list()
        rows += [(name, unit, "0" if gone else each_week) for name, gone in zip(names, empty.tolist(), strict=True)]
    return pl.DataFrame(rows, schema=["resource", "unit", "capacity"], orient="row")


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _inquiries(world: Description, people: People, week: int, monday: int, seed: int) -> pl.DataFrame:
    """Questions asked in the week before `monday`; three in five of those of three weeks ago are answered by now."""
    fresh, old = _questions(world, people, week - 1, monday - WEEK, seed), _questions(world, people, week - 4, monday - 4 * WEEK, seed)
    answered = generator(seed, "answers", week).random(old.height) < 0.6
    closed = old.filter(pl.Series(answered)).with_columns(answered_at=pl.lit(text(monday - WEEK // 2)))
    return pl.concat([fresh, closed])


def _questions(world: Description, people: People, week: int, monday: int, seed: int) -> pl.DataFrame:
    if week < 0 or not any(team.force.channel == VISIT for team in people.teams):
        return pl.DataFrame(schema=dict.fromkeys(("inquiry_id", "hcp_id", "product", "topic", "asked_at", "answered_at"), pl.String))
    draw = generator(seed, "questions", week)
    count = draw.poisson(people.size * world.inquiries / 52)
    topics, own = pl.Series(list(world.topics)), pl.Series([world.products[place].name for place in world.own])
    return pl.DataFrame(
        {
            "inquiry_id": pl.Series(np.arange(count)).cast(pl.String).str.replace("^", f"q{iso_week(monday)}-"),
            "hcp_id": people.ids[draw.integers(0, people.size, count)],
            "product": own[draw.integers(0, len(own), count)],
            "topic": topics[draw.integers(0, len(topics), count)],
            "asked_at": iso(pl.Series(monday + np.sort(draw.integers(0, 7 * 24, count)) * HOUR)),
            "answered_at": pl.repeat(None, count, dtype=pl.String, eager=True),
        }
    )
