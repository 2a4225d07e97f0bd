"""Counted limits in cycles: never exceeded by any plan, priced, counted on from cycle to cycle, replayed."""

import os
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from remit.agents import read_charter
from remit.authority import Limit, load_table
from remit.gateway import Answer, Asked, Made, counted
from remit.ledger import Records, open_ledger, read_ledger
from remit.runtime import asking, assessing, explaining, limiting, making, reporting, rights
from remit.runtime.cycle import Joint, choose
from remit.runtime.cycles import cycle_body
from remit.runtime.exploring import explore
from remit.runtime.limiting import Room
from remit.runtime.run import run_cycle
from remit.runtime.settings import Settings, read_settings
from remit.runtime.standing import take_place
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from remit.terms.facts import FACTS
from remit.terms.instants import DAY
from tests.runtime.conftest import amended, quiet, small
from tests.runtime.test_exploring import company, judged, responses
from tests.runtime.test_problem import EXAMPLE, PEOPLE, PLENTY

NOW = 1_000 * DAY
FREE = PLENTY | {"calls/T001": 1000 * MICRO, "calls/T002": 1000 * MICRO, "hours/msl": 1000 * MICRO}
__all__ = ["company"]


@pytest.fixture(scope="module")
def settings() -> Settings:
    text = (EXAMPLE / "remit.toml").read_text().replace("per_cycle = 2", "per_cycle = 3")
    return read_settings(text.replace("most_per_hcp = 1", "most_per_hcp = 2"), "remit.toml")


@pytest.fixture(scope="module")
def charters() -> tuple[Charter, ...]:
    found = [read_charter(path.read_text(), path.name, PEOPLE) for path in sorted((EXAMPLE / "agents").glob("*.yaml"))]
    return tuple(replace(charter, floor=draw) for charter, draw in zip(found, (0, 0, 2, 0), strict=True))


def a_limit(draw: random.Random, number: int) -> Limit:
    """A limit of any kind."""
    within, name = draw.choice(["1 day", "7 days", "ever"]), f"limit-{number}"
    if draw.random() < 0.4:
        per = draw.choice([("hcp",), ("hcp", "channel")])
        where = draw.choice([{}, {"purpose": ("promotional",)}, {"channel": ("call",)}, {"purpose": ("medical", "promotional"), "channel": ("email",)}])
        return Limit(name, "contacts", per, within, draw.randrange(4) * MICRO, where, "owner", "So.")
    of = draw.choice(["actions", "contacts", "contacts", "budget/email", "samples/alpha", "calls/T001"])
    per = tuple(part for part in ("agent", "channel", "product") if draw.random() < 0.3)
    values = {"agent": ["email", "calls-alpha", "msl"], "channel": ["email", "call"], "product": ["alpha"], "purpose": ["promotional", "medical"]}
    where = {part: tuple(draw.sample(have, draw.randint(1, len(have)))) for part, have in values.items() if draw.random() < 0.25}
    most = draw.randrange(8) * MICRO if of in ("actions", "contacts") else draw.randrange(40) * MICRO // 10
    return Limit(name, of, per, within, most, where, "owner", "So.")


def a_frame(draw: random.Random, hcps: int) -> pl.DataFrame:
    """Permitted proposals on a few HCPs."""
    offers = [("calls-alpha", "call", "alpha"), ("calls-beta", "call", "beta"), ("email", "email", "alpha"), ("email", "email", "beta"),
              ("msl", "msl_visit", "alpha"), ("msl", "msl_visit", "beta")]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for hcp in range(hcps):
        territory = f"T00{1 + hcp % 2}"
        for agent, channel, product in offers:
            if draw.random() < 0.7:
                place = {"email": None, "call": territory, "msl_visit": "msl"}[channel]
                purpose = "medical" if agent == "msl" else "promotional"
                rows.append({"hcp_id": f"H{hcp}", "agent": agent, "channel": channel, "product": product, "purpose": purpose, "territory": place,
                             "value": draw.randrange(1, 60) * MICRO, "mandatory": draw.random() < 0.05})  # fmt: skip
    schema = {
        "territory": pl.String,
        "value": pl.Int64,
        "mandatory": pl.Boolean,
        **dict.fromkeys(("hcp_id", "agent", "channel", "product", "purpose"), pl.String),
    }
    frame = pl.DataFrame(rows, schema_overrides=schema)
    return frame.with_columns(ruling=pl.lit("autonomous"), exclusion=pl.lit(None, pl.String), number=pl.int_range(pl.len(), dtype=pl.Int64))


def taken(frame: pl.DataFrame, joint: Joint, by_agent: dict[str, Charter], settings: Settings) -> list[dict[str, Any]]:
    """What was chosen, each with what it uses and whether it is a contact, by the plainest means."""
    marked = frame.with_columns(pl.Series("chosen", joint.chosen), pl.Series("call", joint.call_number), pl.Series("position", joint.position))
    rows = []
    for row in marked.filter("chosen").iter_rows(named=True):
        channel = settings.channels[row["channel"]]
        opens = row["position"] <= 1
        uses = Counter(dict(by_agent[row["agent"]].uses)) + Counter(dict(channel.uses) if opens else {})
        filled = {name.replace("{territory}", row["territory"] or ""): amount for name, amount in uses.items()}
        rows.append({**row, "contact": opens, "uses": filled})
    return rows


def counts(limit: Limit, rows: list[dict[str, Any]], made: list[Made], contacts: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    """Under each key of a limit, what was recorded in its span and what was chosen."""
    begins = {"1 day": NOW - DAY, "7 days": NOW - 7 * DAY, "ever": -1}[limit.within]
    found: Counter[tuple[str, ...]] = Counter()

    def fits(each: dict[str, Any]) -> bool:
        return all(each[name] in allowed for name, allowed in limit.where.items())

    if limit.per_hcp:
        had = [{**each, "contact": True} for each in contacts if each["at"] > begins]
        for each in [*had, *rows]:
            if fits(each) and each["contact"]:
                found[tuple(each["hcp_id" if name == "hcp" else name] for name in limit.per)] += MICRO
        return found
    for each in rows:
        if fits(each):
            amount = {"actions": MICRO, "contacts": MICRO * each["contact"]}.get(limit.of, each["uses"].get(limit.of, 0))
            found[tuple(each[name] for name in limit.per)] += amount
    for one in made:
        each = {name: getattr(one, name) for name in ("agent", "channel", "product", "purpose")}
        if fits(each) and one.at > begins:
            amount = {"actions": one.actions * MICRO, "contacts": one.contacts * MICRO}.get(limit.of, one.uses.get(limit.of, 0))
            found[tuple(each[name] for name in limit.per)] += amount
    return found


@pytest.mark.parametrize("seed", range(60))
def test_no_plan_exceeds_a_limit(seed: int, settings: Settings, charters: tuple[Charter, ...]) -> None:
    """Random limits, proposals and pasts: of each limit no more is chosen than was left of it; what was exceeded before gets nothing more."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    frame = a_frame(draw, 6)
    limits = tuple(a_limit(draw, number) for number in range(draw.randint(1, 4)))
    cells = [("email", "email", "alpha", "promotional"), ("calls-alpha", "call", "alpha", "promotional"), ("msl", "msl_visit", "beta", "medical")]
    made = [
        Made(NOW - draw.choice([1, 3, 90]) * DAY // 2, *draw.choice(cells), 1, draw.randrange(2), {"budget/email": MICRO // 4})
        for _ in range(draw.randrange(5))
    ]
    had = [
        {"hcp_id": f"H{draw.randrange(6)}", "channel": draw.choice(["call", "email", "msl_visit"]), "purpose": draw.choice(["medical", "promotional"]),
         "at": NOW - draw.choice([1, 7, 90]) * DAY}
        for _ in range(draw.randrange(8))
    ]  # fmt: skip
    room = Room(limits, pl.DataFrame(had, schema=limiting.NOBODY.schema), made, NOW)
    nobody = pl.DataFrame(schema={"hcp_id": pl.String, "allowance": pl.Int64})
    joint = choose(frame, charters, settings, nobody, FREE, room, displaced=False, threads=1)
    rows = taken(frame, joint, {charter.agent: charter for charter in charters}, settings)
    for limit in limits:
        before, after = counts(limit, [], made, had), counts(limit, rows, made, had)
        assert all(after[key] <= max(limit.most, before[key]) for key in after), (limit, before, after)


def test_without_limits_or_with_wide_ones_the_same_is_chosen(settings: Settings, charters: tuple[Charter, ...]) -> None:
    """Limits that do not bind change nothing: neither what is chosen, nor any price."""
    frame, nobody = a_frame(random.Random(7), 12), pl.DataFrame(schema={"hcp_id": pl.String, "allowance": pl.Int64})  # noqa: S311 - no secret
    wide = (Limit("week", "contacts", ("hcp",), "7 days", 9 * MICRO, {}, "o", "r"), Limit("day", "actions", ("agent",), "1 day", 500 * MICRO, {}, "o", "r"))
    free, bound = (
        choose(frame, charters, settings, nobody, FREE, Room(limits, now=NOW), displaced=False, threads=1) for limits in ((), wide)
    )  # fmt: skip
    assert free.chosen.tolist() == bound.chosen.tolist()
    assert free.chosen.any()
    assert not any(price for plan in bound.plans for name, price in zip(plan.resources, np.asarray(plan.plan.price), strict=True) if name.startswith("limit/"))


def test_a_limit_that_binds_has_a_price_and_takes_the_best(settings: Settings, charters: tuple[Charter, ...]) -> None:
    frame, nobody = a_frame(random.Random(7), 12), pl.DataFrame(schema={"hcp_id": pl.String, "allowance": pl.Int64})  # noqa: S311 - no secret
    few = Limit("few", "actions", ("agent",), "1 day", 3 * MICRO, {"agent": ("calls-alpha", "calls-beta")}, "o", "r")
    joint = choose(frame, charters, settings, nobody, FREE, Room((few,), now=NOW), displaced=False, threads=1)
    chosen = Counter(frame["agent"].filter(pl.Series(joint.chosen)).to_list())
    assert (chosen["calls-alpha"], chosen["calls-beta"]) == (3, 3)
    prices = {name: price for plan in joint.plans for name, price in zip(plan.resources, np.asarray(plan.plan.price).tolist(), strict=True)}
    assert prices["limit/few/calls-beta"] > 0
    assert joint.free["limit/few/calls-beta"] == 0


def test_tries_hold_limits_too(company: Any) -> None:
    """No more tries than a limit leaves, and none for an HCP of whom it leaves nothing."""
    table = company.table(1_700_000_000_000_000)
    generous = replace(table, exploration=(replace(table.exploration[0], tries=490_000),))
    five = Limit("five", "actions", (), "1 day", 5 * MICRO, {"channel": ("email",)}, "o", "r")
    frame, none = judged([]), pl.DataFrame(schema={"hcp_id": pl.String, "channel": pl.String, "contacts": pl.Int64})
    values, plenty = {"kappa": 10_000}, {"sends": 10**12, "budget/email": 10**15}

    def tries(limits: tuple[Limit, ...], free: dict[str, int], full: pl.DataFrame | None) -> list[int]:
        given = (company.charters, company.settings, free, responses(20_000, 40_000), values)
        return [int(explore(frame, none, replace(generous, limits=limits), *given, week * DAY, full).tried.sum()) for week in range(20)]

    assert max(tries((), plenty, None)) > 10
    assert max(tries((five,), plenty | {"limit/five": 5 * MICRO}, None)) == 5
    room = Room((Limit("week", "contacts", ("hcp",), "7 days", 0, {}, "o", "r"),))
    full = room.full(frame, "promotional", company.settings.channels, none.with_columns(purpose=pl.lit("")))
    assert max(tries((), plenty, full)) == 0


LIMITS = """
limits:
  - id: weekly
    of: contacts
    per: [hcp]
    within: 15 days
    most: 1
    where: {purpose: promotional}
    owner: compliance-lead
    reason: One promotional contact in a fortnight.
  - id: visits
    of: contacts
    per: [hcp, channel]
    within: 8 days
    most: 1
    where: {purpose: medical}
    owner: medical-lead
    reason: No second visit in a week.
  - id: daily
    of: actions
    per: [agent]
    within: 1 day
    most: 12
    where: {agent: [calls-alpha, calls-beta]}
    owner: owner-calls-alpha
    reason: What reps can take in at once.
  - id: spend
    of: samples/alpha
    per: [product]
    within: ever
    most: 2.45
    owner: owner-email
    reason: What there is to spend, for ever.
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three cycles under a limit of each kind."""
    workspace = small(tmp_path_factory.mktemp("limited") / "w")
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text() + LIMITS)
    for _ in range(3):
        run_cycle(workspace, 1, quiet)
    return workspace


def actions(records: Records) -> pl.DataFrame:
    """Every recorded action that was not refused, with its instant."""
    refused = {entry.body["action"] for entry in records.entries(kind="refused")}
    rows = []
    for cycle in list(records.entries(kind="cycle")):
        for action in records.entries(kind="action", cycle=cycle.cycle):
            if action.seq not in refused and action.payload is not None:
                selection, proposal = action.payload["selection"], action.payload["proposal"]
                rows.append({**{name: proposal[name] for name in ("hcp_id", "agent", "channel", "product", "purpose")}, "at": cycle.body["now"],
                             "opens": selection["position"] <= 1, "spent": action.payload["context"]["uses"].get("samples/alpha", 0)})  # fmt: skip
    return pl.DataFrame(rows)


def test_three_cycles_hold_every_limit_and_use_what_they_leave(limited: Workspace) -> None:
    with closing(read_ledger(limited.ledger)) as records:
        done = actions(records)
    promoted = done.filter((pl.col("purpose") == "promotional") & pl.col("opens"))
    for at in done["at"].unique():
        window = promoted.filter((pl.col("at") > at - 15 * DAY) & (pl.col("at") <= at))
        assert window.group_by("hcp_id").len()["len"].max() == 1
    visits = done.filter(pl.col("purpose") == "medical").group_by("hcp_id", "channel").agg(pl.col("at").sort().diff().min())
    assert (visits["at"].drop_nulls() > 8 * DAY).all()
    daily = done.filter(pl.col("agent").str.starts_with("calls-")).group_by("agent", "at").len()
    assert daily["len"].max() == 12
    spend = done.group_by("product").agg(pl.col("spent").sum())
    assert spend["spent"].max() == 2_400_000


def test_a_cycle_keeps_sums_that_name_nobody_and_a_refusal_takes_off_them(limited: Workspace) -> None:
    config = read_config(config_texts(limited))
    with closing(read_ledger(limited.ledger)) as records:
        done, last = actions(records), list(records.entries(kind="cycle"))[-1]
        assert any(records.entries(kind="refused"))
        everything = (Limit("all", "actions", (), "ever", 0, {}, "o", "r"),)
        found = making.made(records, records.size, everything, int(last.body["now"]))
        waiting = records.entries(kind="action", cycle=last.cycle)
        assert sum(each.actions for each in found) == done.height
        assert sum(each.contacts for each in found) == done["opens"].sum()
        assert sum(each.uses.get("samples/alpha", 0) for each in found) == done["spent"].sum()
        assert sum(cell["actions"] for cell in last.body["made"]) == len(list(waiting))
        assert not re.search(r"H\d{5,}", str(last.body["made"]))
    assert config.table(int(last.body["now"])).limits[0].id == "weekly"


def test_prices_explain_and_who_name_limits(limited: Workspace, remit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    with closing(read_ledger(limited.ledger)) as records:
        body = cycle_body(records, "cycle-0001")
        priced = {row["resource"]: row["price"] for row in reporting.prices(body)}
        assert priced["limit/daily/calls-alpha"] > 0
        outbid = next(row["decision"] for row in reporting.decisions(records, "cycle-0001", "calls-alpha", "outbid", 50)["rows"] if row["value"] > 0)
        assert any("limit/daily/calls-alpha" in text for text in explaining.turning(limited, records, outbid))
        said = [
            explaining.turning(limited, records, row["decision"]) for row in reporting.decisions(records, "cycle-0002", "calls-alpha", "outbid", 200)["rows"]
        ]
        assert any("the limit `weekly` leaves" in text for texts in said for text in texts)
        config = read_config(config_texts(limited))
        told = asking.who("row", "spend", records, config, config.table(int(body["now"])), int(body["now"]))
    assert "at most 2.45 of samples/alpha per product ever" in told["says"]
    assert told["people"][0]["person"] == "owner-email"
    shown = remit("show", "prices", "-w", limited.root)
    assert "limit/daily/calls-alpha" in shown.stdout
    diff = remit("authority", "diff", "v1", EXAMPLE / "authority.yaml", "-w", limited.root)
    assert "limits would change, in which the tables differ: daily, spend, visits, weekly" in " ".join(diff.stdout.split())


def test_replay_is_byte_for_byte_and_the_log_verifies(limited: Workspace, remit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    for cycle in ("cycle-0002", "cycle-0003"):
        replayed = remit("replay", "--cycle", cycle, "-w", limited.root, "--json")
        assert (replayed.returncode, '"differs": []' in replayed.stdout) == (0, True), replayed.stdout + replayed.stderr
    assert remit("verify", "-w", limited.root).returncode == 0


def test_check_names_limits_that_forbid_everything_or_never_bind(workspace: Workspace) -> None:
    table = workspace.root / "authority.yaml"
    more = LIMITS.replace("most: 12", "most: 0").replace("of: samples/alpha", "of: budget/letters").replace("[calls-alpha, calls-beta]", "[calls-alpha]")
    table.write_text(table.read_text() + more.replace("most: 1\n    where: {purpose: promotional}", "most: 8\n    where: {purpose: promotional}"))
    found = {one["limit"]: one["says"] for one in assessing.checked(workspace)["limits"]}
    assert found["daily"].startswith("It forbids everything it speaks of")
    assert "nothing that it speaks of takes any of `budget/letters`" in found["spend"]
    assert "leaves an HCP 8 contacts in 28 days" in found["weekly"]
    assert "visits" not in found


def test_a_limit_on_an_agent_that_there_is_not_can_be_neither_begun_with_nor_proposed(workspace: Workspace, tmp_path: Path) -> None:
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text() + LIMITS.replace("[calls-alpha, calls-beta]", "calls-gamma"))
    with pytest.raises(Exception, match="names the agent `calls-gamma`"):
        amended(workspace)
    fresh = small(tmp_path / "fresh")
    (fresh.root / "authority.yaml").write_text(
        (fresh.root / "authority.yaml").read_text() + LIMITS.replace("channel: email", "channel: letter").replace("[calls-alpha, calls-beta]", "calls-gamma")
    )
    with pytest.raises(Exception, match="limits and guards do not fit the workspace"):
        run_cycle(fresh, 1, quiet)


def test_who_owns_a_limit_owns_its_change() -> None:
    text = (EXAMPLE / "authority.yaml").read_text()
    old = load_table(text + LIMITS, PEOPLE, FACTS, 0)
    new = load_table(text + LIMITS.replace("most: 2.45", "most: 5"), PEOPLE, FACTS, 0)
    assert rights.changes(old, new) == [rights.Change("limit", "spend", "changed", "owner-email")]
    assert limiting.differing(old, new) == ["spend"]
    assert [each.what for each in rights.changes(load_table(text, PEOPLE, FACTS, 0), old)] == ["limit"] * 4


def test_between_cycles_the_log_counts_on_and_the_next_cycle_counts_what_was_done(limited: Workspace, tmp_path: Path) -> None:
    """A clerk gives out what the cycle left and says why no more; the cycle after counts both."""
    shutil.copytree(limited.root, tmp_path / "w")
    workspace = open_workspace(tmp_path / "w")
    table = workspace.root / "authority.yaml"
    table.write_text(table.read_text().replace("most: 12", "most: 15").replace("most: 2.45", "most: 2.65"))
    amended(workspace)
    with closing(open_ledger(workspace.ledger, entropy=os.urandom)) as ledger:
        clerk, config = take_place(workspace, ledger, lambda: 0, 1)
        charter = next(charter for charter in config.charters if charter.agent == "calls-alpha")
        content = clerk.standing.single.known.content.filter((pl.col("product") == "alpha") & (pl.col("channel") == "call"))["content_id"][0]
        hcps = clerk.standing.single.served(["alpha"])
        asks = [(charter, Asked(f"k{hcp}", hcp, "call", "alpha", "promotional", 90 * MICRO, content)) for hcp in hcps]
        answers = [answer for answer in clerk.answer(asks) if isinstance(answer, Answer)]
        given = [answer for answer in answers if answer.disposition in ("chosen", "waiting")]
        why = Counter(answer.payload["context"].get("why") for answer in answers if answer.payload is not None and answer.disposition == "outbid")
        assert len(given) == 2
        assert why["the limit `spend` is reached: 2.6 of 2.65"] > 0
        assert why["the limit `weekly` is reached: 1 of 1"] > 0
        now = int(given[0].body["at"])
        (spend,) = [limit for limit in clerk.standing.table.limits if limit.id == "spend"]
        assert counted([spend], making.made(ledger, ledger.size, [spend], now + 1), now + 1) == {"limit/spend/alpha": 2_600_000}
    run_cycle(workspace, 1, quiet)
    with closing(read_ledger(workspace.ledger)) as records:
        left = cycle_body(records, "cycle-0004")["plans"]["promotional"]["capacity"]["limit/spend/alpha"]
    assert left == 50_000
