"""Facts that came later, in cycles and between them: enforced in the cycle that learns of them, whole in the ledger, replayed."""

import re
import shutil
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from remit.gateway import Known
from remit.ledger import open_ledger, read_ledger
from remit.runtime import commands
from remit.runtime.handing import standing_inputs
from remit.runtime.record import STREAM
from remit.runtime.run import run_cycle
from remit.runtime.workspace import Workspace, config_texts, open_workspace, read_config
from tests.runtime.conftest import quiet
from tests.runtime.test_between import asked, one, place, rules

BEGUN, TOLD = "2026-01-12T00:00:00Z", "2026-01-19T04:00:00Z"


def delivered(workspace: Workspace, feed: str, header: str, *rows: str) -> None:
    """A file of a feed that comes before the third cycle."""
    folder = workspace.root / "feeds" / feed
    folder.mkdir(exist_ok=True)
    (folder / "more.csv").write_text("\n".join([f"{header},valid_from,valid_to,received_at", *(f"{row},{BEGUN},,{TOLD}" for row in rows), ""]))


def decided(workspace: Workspace, cycle: str) -> pl.DataFrame:
    with closing(read_ledger(workspace.ledger)) as records:
        return pl.concat([records.read_segment(segment).frame for segment in records.segments(cycle, STREAM)])


def same(workspace: Workspace) -> bool:
    return all(cycle["differs"] == [] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"])


@pytest.fixture(scope="module")
def warned(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A third cycle in which beta is short, alpha's calls are about what its label does not cover, and alpha's e-mails are of high risk."""
    root = tmp_path_factory.mktemp("warned") / "w"
    shutil.copytree(finished, root)
    workspace = open_workspace(root)
    delivered(workspace, "supply", "product,market,cover_weeks", "beta,US,1.999999", "alpha,US,2", "alpha,DE,0")
    delivered(
        workspace, "products", "product,brand,basket,own,outcome,value_minor,currency,indications", "alpha,Alpha,basket-1,true,trx,4000,USD,asthma; croup"
    )
    header = "content_id,product,channel,communication_type,topic,status,risk,indications"
    known = decided(workspace, "cycle-0002").filter(product="alpha").select("content_id", "channel").drop_nulls().unique().sort("content_id")
    rows = [f"{name},alpha,{channel},promotional,efficacy,approved,{'high,Croup' if channel == 'email' else 'low,gout'}" for name, channel in known.iter_rows()]
    delivered(workspace, "content", header, *rows, "alpha-email-1,alpha,email,promotional,efficacy,approved,high,Croup")
    run_cycle(workspace, 1, quiet)
    return workspace


def test_what_is_short_is_not_promoted_and_medical_work_goes_on(warned: Workspace) -> None:
    rows = decided(warned, "cycle-0003")
    short, enough = rows.filter(product="beta"), rows.filter(product="alpha")
    assert set(short["supply_cover_weeks"]) == {1_999_999}
    assert short.filter(pl.col("purpose") == "promotional")["rules"].str.contains("supply-short").all()
    assert "autonomous" in set(short.filter(pl.col("purpose") == "medical")["ruling"])
    assert set(enough["supply_cover_weeks"]) == {2_000_000}
    assert not enough["rules"].str.contains("supply-short").fill_null(value=False).any()


def test_what_the_label_does_not_cover_is_not_promoted(warned: Workspace) -> None:
    calls = decided(warned, "cycle-0003").filter(agent="calls-alpha")
    assert calls.height
    assert calls["indication_match"].not_().all()
    assert calls["rules"].str.contains("label-only").all()


def test_between_cycles_the_same_facts_hold(warned: Workspace) -> None:
    with place(warned) as (clerk, config, _):
        hcp = next(iter(clerk.standing.single.served(["alpha"])))
        given = one(clerk, config, asked(clerk, hcp, product="beta", content_id="beta-email-1"))
        assert "supply-short" in rules(given)
        facts = one(clerk, config, asked(clerk, hcp, key="k2", content_id="alpha-email-1")).payload["context"]["facts"]  # type: ignore[index]  # it has one
        assert (facts["content_risk"], facts["indication_match"], facts["supply_cover_weeks"], facts["model_drift"]) == ("high", True, 2_000_000, "none")


def test_cycles_with_and_without_the_feeds_replay_to_the_byte(warned: Workspace) -> None:
    assert same(warned)


def known_of(workspace: Workspace) -> Known:
    with closing(open_ledger(workspace.ledger, entropy=bytes)) as ledger:
        config = read_config(config_texts(workspace))
        now = max(int(entry.body["now"]) for entry in ledger.entries(kind="cycle"))
        return standing_inputs(workspace, config, ledger, now, 1).known


def test_our_contacts_are_their_agents_also_when_their_touches_have_come_back(finished: Path) -> None:
    """Of the contacts of the last four weeks, each that Remit asked for is told apart by agent, and people's own are nobody's."""
    workspace = open_workspace(finished)
    contacts = known_of(workspace).contacts
    by_channel = {channel: set(part["agent"].drop_nulls()) for (channel,), part in contacts.partition_by("channel", as_dict=True).items()}
    assert by_channel["call"] <= {"calls-alpha", "calls-beta"}
    assert by_channel["msl_visit"] == {"msl"}
    with closing(read_ledger(workspace.ledger)) as records:
        asked_for = [entry.payload["proposal"]["agent"] for entry in records.entries(kind="action") if entry.payload]
    assert contacts["agent"].drop_nulls().len() <= len(asked_for)
    returned = contacts.filter(pl.col("agent").is_not_null() & (pl.col("at") < contacts["at"].max()))
    assert returned.height > 0
    assert contacts["agent"].null_count() > 0


def test_a_model_that_drifts_is_stopped_in_the_cycle_that_sees_it(workspace: Workspace) -> None:
    """Prescriptions ten times as many move every score. Promotion stops at once, medical work does not, and between cycles it is the same."""
    for path in (workspace.root / "feeds" / "rx").glob("2026-*.csv"):
        head, *lines = path.read_text().splitlines()
        path.write_text(
            "\n".join(
                [
                    head,
                    *(re.sub(r",(\d+),(\d+),(\d+),", lambda found: ",{},{},{},".format(*(10 * int(n) + 30 for n in found.groups())), line) for line in lines),
                    "",
                ]
            )
        )
    done = run_cycle(workspace, 1, quiet)
    rows = decided(workspace, done.cycle)
    assert done.watch["lead-score"]["asks"] == "stop"
    assert set(rows["model_drift"]) == {"stop"}
    promotion = rows.filter(purpose="promotional")
    assert promotion.height
    assert promotion["rules"].str.contains("drift-stop").all()
    assert "autonomous" in set(rows.filter(purpose="medical")["ruling"])
    assert same(workspace)
    with place(workspace) as (clerk, config, _):
        hcp = next(iter(clerk.standing.single.served(["alpha"])))
        assert "drift-stop" in rules(one(clerk, config, asked(clerk, hcp)))
