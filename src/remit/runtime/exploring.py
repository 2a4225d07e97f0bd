"""Acting to learn: what was not chosen is tried, what was chosen is left out, with probabilities that the authority table bounds and decisions record.

A try is a contact of its own, of an HCP whose contacts and of resources whose capacity the plan left over: it takes nothing from what was chosen. Its
probability is the table's `tries` times the probability that the touch is worth its cost (Thompson 1933, Biometrika 25, thinned). Among those that share
resources the draw is systematic (Madow 1949, Annals of Mathematical Statistics 20), so that capacity holds for certain and each has exactly its probability.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import erf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from remit.authority import Limit, Table, limits
from remit.models.panel_response import Z_90
from remit.runtime.problem import build
from remit.runtime.settings import Settings
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.verdicts import Ruling

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_CONTACT = pl.when(pl.col("call_number") > 0).then(-pl.col("call_number")).otherwise(pl.col("number"))
"""What tells the contacts of one HCP, channel and territory apart."""


@dataclass(frozen=True, slots=True)
class Explored:
    """Per judged proposal whether it is `tried` or `rested`, and the `probability` (millionths) with which it was to be done; `used` is what tries take of
    each resource (micro-units)."""

    tried: Flags
    rested: Flags
    probability: Ints
    used: Mapping[str, int]


def explore(
    judged: pl.DataFrame,
    contacts: pl.DataFrame,
    table: Table,
    charters: tuple[Charter, ...],
    settings: Settings,
    free: Mapping[str, int],
    responses: pl.DataFrame,
    values: Mapping[str, int],
    now: int,
    full: pl.DataFrame | None = None,
) -> Explored:
    """What is tried and left out of promotion. `judged` has a proposal's columns, its facts, `number` (its place), `ruling`, `chosen`, `call_number` and
    `allowance` (the HCP's contacts in this cycle before anything was chosen); `contacts` (hcp_id, channel, contacts) and `free` are what the plan took of them
    and left of each resource; `full` (hcp_id, channel) says where the table's limits leave an HCP nothing. The same for the same arguments: draws are made of
    the settings' seed and `now`."""
    chosen = judged["chosen"].to_numpy()
    probability = chosen.astype(np.int64) * MICRO
    tried, rested = np.zeros(len(chosen), bool), np.zeros(len(chosen), bool)
    if not table.exploration:
        return Explored(tried, rested, probability, {})
    rows = judged.with_columns(limits(judged, table)).filter((pl.col("purpose") == "promotional") & ~pl.col("mandatory"))
    draw = _Draw(f"{settings.seed}/{now}")
    _rest(rows.filter(pl.col("chosen")), draw, rested, probability)
    open_ = _open(rows if full is None else rows.join(full, on=["hcp_id", "channel"], how="anti", maintain_order="left"), contacts, settings)
    used = _try(open_, charters, settings, free, table.limits, _known(responses, values), draw, tried, probability)
    return Explored(tried, rested, probability, used)


class _Draw:
    """Uniform numbers below a million, one for each text."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(key.encode()).digest()

    def of(self, *texts: Any) -> int:
        """The number of these texts."""
        return int.from_bytes(hashlib.blake2b("/".join(map(str, texts)).encode(), key=self._key, digest_size=8).digest(), "big") % MICRO


def _rest(rows: pl.DataFrame, draw: _Draw, rested: Flags, probability: Ints) -> None:
    """A call rests as a whole, with the least probability that any of its details has."""
    contact = ["hcp_id", "channel", "territory", "contact"]
    resting = rows.with_columns(contact=_CONTACT).with_columns(pl.col("rests").min().over(contact)).filter(pl.col("rests") > 0)
    for number, rests, *name in resting.select("number", "rests", *contact).iter_rows():
        rested[number] = draw.of("rest", *name) < rests
        probability[number] = MICRO - rests


def _try(
    rows: pl.DataFrame,
    charters: tuple[Charter, ...],
    settings: Settings,
    free: Mapping[str, int],
    counted: Sequence[Limit],
    known: pl.DataFrame,
    draw: _Draw,
    tried: Flags,
    probability: Ints,
) -> dict[str, int]:
    open_ = rows.join(known, on=["hcp_id", "product", "channel", "touch"], how="left", maintain_order="left")
    wanted = open_.with_columns(probability=pl.col("tries") * _chance(open_) // MICRO).filter(pl.col("probability") > 0)
    best = wanted.sort(["hcp_id", "probability", "value", "number"], descending=[False, True, True, False]).unique("hcp_id", keep="first", maintain_order=True)
    if not best.height:
        return {}
    asked = tuple(charter for charter in charters if charter.agent in set(best["agent"].unique()))
    problem = build(best.rename({"number": "row"}), asked, settings, free, limits=counted)
    usage, names = problem.candidates.usage, problem.resources.names
    start, resource, amount = (np.asarray(column).tolist() for column in (usage.start, usage.resource, usage.amount))
    needs = [tuple(zip(resource[low:high], amount[low:high], strict=True)) for low, high in pairwise(start)]
    left, used = np.asarray(problem.resources.capacity).tolist(), dict[str, int]()
    hcps, numbers, wish = best["hcp_id"].to_list(), problem.rows.tolist(), best["probability"].to_list()
    for need in sorted(set(needs)):
        members = sorted((at for at, own in enumerate(needs) if own == need), key=lambda at: (draw.of("order", hcps[at]), hcps[at]))
        room = min((left[name] // cost for name, cost in need if cost), default=len(members))
        total = sum(wish[at] for at in members)
        given = [wish[at] if total <= room * MICRO else wish[at] * room * MICRO // total for at in members]
        ends = np.cumsum([0, *given]) + MICRO - 1 - draw.of("start", *need)
        drawn = np.diff(ends // MICRO) > 0
        for at, share, taken in zip(members, given, drawn.tolist(), strict=True):
            tried[numbers[at]], probability[numbers[at]] = taken, share
        for name, cost in need:
            left[name] -= cost * -(-sum(given) // MICRO)  # the most that could have been drawn: nobody's probability depends on what was
            used[names[name]] = used.get(names[name], 0) + cost * int(drawn.sum())
    return used


def _open(rows: pl.DataFrame, contacts: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Permitted proposals of contacts of their own that were not chosen, of HCPs whose contacts are not used up, nothing chosen being about the same product
    through the same channel."""
    alone = [channel.name for channel in settings.channels.values() if not channel.carries_details]
    most = {channel.name: channel.most_per_hcp for channel in settings.channels.values()}
    spent = contacts.group_by("hcp_id").agg(spent=pl.col("contacts").sum())
    through = contacts.group_by("hcp_id", "channel").agg(pl.col("contacts").sum())
    return (
        rows.filter((pl.col("ruling") == Ruling.AUTONOMOUS) & ~pl.col("chosen") & (pl.col("tries") > 0) & pl.col("channel").is_in(alone))
        .join(rows.filter("chosen"), on=["hcp_id", "channel", "product"], how="anti", maintain_order="left")
        .join(spent, on="hcp_id", how="left", maintain_order="left")
        .join(through, on=["hcp_id", "channel"], how="left", maintain_order="left")
        .with_columns(pl.col("spent", "contacts").fill_null(0), most=pl.col("channel").replace_strict(most, return_dtype=pl.Int64))
        .filter((pl.col("allowance") > pl.col("spent")) & (pl.col("most") > pl.col("contacts")))
        .drop("spent", "contacts", "most")
    )


def _chance(rows: pl.DataFrame) -> pl.Series:
    """The probability (millionths) that a touch adds more than it costs: what it adds is normal about its mean, as far as it is likely to be something; 0
    where nothing is known of it."""
    columns = rows.select(pl.col("value", "minor", "expected", "mean", "deviation").cast(pl.Float64).fill_null(np.nan)).to_numpy().T
    value, minor, expected, mean, deviation = columns
    with np.errstate(divide="ignore", invalid="ignore"):
        pays = expected - value / (minor * MICRO / 100)
        something = np.clip(expected / mean, 0.0, 1.0)
        away = np.where(deviation > 0, (mean - pays) / deviation, np.sign(mean - pays) * np.inf)
    chance = [share * (1 + erf(each / sqrt(2))) / 2 if share > 0 and each == each else 0.0 for share, each in zip(something, away, strict=True)]
    return pl.Series([round(each * MICRO) for each in chance], dtype=pl.Int64)


def _known(responses: pl.DataFrame, values: Mapping[str, int]) -> pl.DataFrame:
    """What is known of each touch: what it is expected to add, mean and standard deviation of that if it is anything (units), and what a unit is worth (minor
    units of currency)."""
    if "low" not in responses.columns:
        responses = responses.with_columns(low=pl.col("increment"), high=pl.col("increment"))
    worth = pl.DataFrame({"product": list(values), "minor": list(values.values())}, schema={"product": pl.String, "minor": pl.Int64})
    return responses.join(worth, on="product", how="inner", maintain_order="left").select(
        "hcp_id",
        "product",
        "channel",
        "touch",
        "minor",
        expected=pl.col("increment") / MICRO,
        mean=(pl.col("low") + pl.col("high")) / (2 * MICRO),
        deviation=(pl.col("high") - pl.col("low")) / (2 * Z_90 * MICRO),
    )
