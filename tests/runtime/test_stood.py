"""Proposals that stand until the next cycle: taken in once, chosen jointly with everybody else's, replayed to the byte, and told what became of them."""

from collections.abc import Iterable
from dataclasses import replace

import polars as pl
import pytest

from remit.gateway import Answer, Clerk, GatewayError, Renewed
from remit.runtime import commands, queue_commands, rights_commands
from remit.runtime.run import run_cycle
from remit.runtime.stood import taking_part
from remit.runtime.workspace import Workspace
from remit.terms.charters import Charter
from remit.terms.encoding import MICRO
from tests.runtime.conftest import amended, quiet
from tests.runtime.test_between import asked, content, free, place

VENDOR = "vendor-mail"


def with_vendor(workspace: Workspace, more: str = "") -> None:
    """Writes the charter of a vendor's agent for e-mails, with `more` in it, and a row of the table that lets it act by itself."""
    charter = (
        (workspace.root / "agents" / "email.yaml").read_text().replace("agent: email", f"agent: {VENDOR}").replace("proposer: email", "proposer: external")
    )
    charter = charter.replace("settings: {modules: 4}", more).replace("floor: 50", "floor: 0")
    (workspace.root / "agents" / "vendor.yaml").write_text(charter)
    table = workspace.root / "authority.yaml"
    row = f"  - {{id: vendor, when: agent = '{VENDOR}' AND channel = 'email' AND consent = 'opt_in' AND purpose = 'promotional', verdict: autonomous, "
    table.write_text(table.read_text().replace("\nrows:\n", f"\nrows:\n{row}owner: owner-email, reason: A test.}}\n", 1))


@pytest.fixture
def vendors(workspace: Workspace) -> Workspace:
    """The workspace with a vendor's agent."""
    with_vendor(workspace)
    amended(workspace)
    return workspace


def standing(clerk: Clerk, hcps: Iterable[str], value: int = 90 * MICRO, agent: str = VENDOR, key: str = "s") -> list[Answer | GatewayError]:
    charter = clerk.standing.charters[agent]
    return clerk.answer([(charter, replace(asked(clerk, hcp, f"{key}-{hcp}", value), stands=True)) for hcp in hcps])


def became(workspace: Workspace, answers: Iterable[Answer | GatewayError]) -> list[Answer]:
    with place(workspace) as (clerk, _, _):
        found = [clerk.status(VENDOR, answer.id) for answer in answers if isinstance(answer, Answer)]
    assert None not in found
    return [each for each in found if each is not None]


def replayed(workspace: Workspace) -> list[list[str]]:
    return [cycle["differs"] for cycle in commands.replay(workspace.root, None, 1, quiet)["cycles"]]


def test_what_stands_is_chosen_jointly_in_the_next_cycle_and_replayed_to_the_byte(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, ledger):
        reach = free(clerk)
        out = clerk.standing.single.known.consent.filter((pl.col("channel") == "email") & (pl.col("status") == "opt_out"))["hcp_id"]
        no = next(each for each in sorted(out) if clerk.standing.single.serves(each, ["alpha"]))
        size = ledger.size
        dear, cheap = standing(clerk, reach[:6]), standing(clerk, reach[6:12], value=1)
        forbidden, taken = standing(clerk, [no]), standing(clerk, reach[12:13])
        said = [*dear, *cheap, *forbidden, *taken]
        assert {each.disposition for each in said if isinstance(each, Answer)} == {"standing"}
        assert standing(clerk, reach[:6]) == [replace(each, payload=again.payload) for each, again in zip(dear, standing(clerk, reach[:6]), strict=True)]
        assert ledger.size == size + 14
        assert not clerk.due
        withdrawn = clerk.withdraw([(VENDOR, taken[0].id)])[0]  # type: ignore[union-attr]
        assert withdrawn is not None
        assert withdrawn.disposition == "withdrawn"
    done = run_cycle(vendors, 1, quiet)
    assert done.result is not None
    rows = done.result.decisions.filter(agent=VENDOR)
    assert set(rows["hcp_id"]) == {*reach[:12], no}
    assert rows.filter(pl.col("hcp_id").is_in(reach[:6]))["disposition"].to_list() == ["chosen"] * 6
    account = next(plan for plan in done.result.plans if plan.purpose == "promotional")
    assert VENDOR in account.agents
    told = became(vendors, said)
    assert [each.disposition for each in told[:6]] == ["acted"] * 6
    assert {each.disposition for each in told[6:12]} <= {"outbid", "acted"}
    assert [each.disposition for each in told[12:]] == ["forbidden", "withdrawn"]
    assert all(each.payload is not None and each.payload["verdict"]["rules"] for each in told[:13])
    for each in told[6:12]:
        assert each.payload is not None
        assert each.disposition == "acted" or {"net", "rent", "uses", "why"} <= each.payload["context"].keys()
    listed = pl.concat([pl.read_csv(path, infer_schema=False) for path in (vendors.out / done.cycle).glob("email*.csv")])
    assert set(reach[:6]) <= set(listed["hcp_id"])
    assert replayed(vendors) == [[]] * 3
    assert commands.verify(vendors.root, [], None, None)["faults"] == []
    run_cycle(vendors, 1, quiet)
    assert replayed(vendors) == [[]] * 4


def test_what_stands_displaces_others_and_is_in_the_portfolio(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, _):
        sends = clerk.standing.free["sends"] // MICRO
        standing(clerk, free(clerk), value=95 * MICRO)
    done = run_cycle(vendors, 1, quiet)
    assert done.result is not None
    assert sends >= 0
    plan = next(plan for plan in done.result.plans if plan.purpose == "promotional")
    (account,) = [account for account in plan.plan.accounts if plan.agents[account.agent] == VENDOR]
    assert account.value > 0
    assert account.displaced >= 0
    assert done.result.decisions.filter(agent=VENDOR)["disposition"].is_in(["chosen", "outbid", "waiting"]).all()


def test_two_workers_take_in_a_key_once_and_no_more_than_the_charter_allows_on_a_physician(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, ledger), place(vendors) as (other, _, _):
        hcp, *_ = free(clerk)
        (first,), (again,) = standing(clerk, [hcp]), standing(other, [hcp])
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert (first.id, first.entry) == (again.id, again.entry)
        (full,) = standing(other, [hcp], key="other")
        assert isinstance(full, GatewayError)
        assert "as many stand as the charter allows" in str(full)
        assert other.withdraw([(VENDOR, first.id)])[0] is not None
        (after,) = standing(clerk, [hcp], key="other")
        assert isinstance(after, Answer)
        size = ledger.size
        (changed,) = clerk.answer([(clerk.standing.charters[VENDOR], asked(clerk, hcp, f"other-{hcp}", 90 * MICRO))])
        assert isinstance(changed, GatewayError)
        assert "used for another proposal" in str(changed)
        assert ledger.size == size


def test_an_agent_cannot_fill_the_log_with_what_it_withdraws(vendors: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with place(vendors) as (clerk, _, _):
        charter = clerk.standing.charters[VENDOR]
        assert clerk.most_standing(charter) == sum(len(clerk.standing.single.served([product])) for product in charter.products)
        hcp, *_ = free(clerk)
        monkeypatch.setattr(clerk, "most_standing", lambda _: 3)
        for number in range(3):
            (answer,) = standing(clerk, [hcp], key=f"k{number}")
            assert isinstance(answer, Answer)
            clerk.withdraw([(VENDOR, answer.id)])
        (refused,) = standing(clerk, [hcp], key="one-more")
        assert isinstance(refused, GatewayError)
        assert "as many have stood since the last cycle as the charter could reach: 3" in str(refused)


def test_what_may_not_stand_is_said_and_not_recorded(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, ledger):
        hcp, *_ = free(clerk)
        size = ledger.size
        (own,) = standing(clerk, [hcp], agent="email")
        assert "only what an external agent proposes" in str(own)
        charter = clerk.standing.charters[VENDOR]
        for other in ({"channel": "call", "content_id": content(clerk, "call")}, {"product": "gamma"}):
            (found,) = clerk.answer([(charter, replace(asked(clerk, hcp, "k", **other), stands=True))])
            assert "does not grant" in str(found)
        assert ledger.size == size


def test_a_charter_that_ended_or_changed_lapses_what_stood_and_says_why(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, _):
        hcps = free(clerk)[:3]
        said = standing(clerk, hcps)
    path = vendors.root / "agents" / "vendor.yaml"
    charter = path.read_text()
    path.write_text(charter.replace("products: [alpha, beta]", "products: [beta]"))
    assert path.read_text() != charter
    done = run_cycle(vendors, 1, quiet)
    assert done.result is not None
    assert done.result.decisions.filter(agent=VENDOR).is_empty()
    told = became(vendors, said)
    assert [each.disposition for each in told] == ["lapsed"] * 3
    assert {each.payload["context"]["why"] for each in told if each.payload} == {"its charter was changed, and does not grant it any more"}
    path.unlink()
    assert replayed(vendors) == [[]] * 3


def test_a_stop_forbids_what_stands_and_an_erased_physicians_takes_no_part(vendors: Workspace) -> None:
    with place(vendors) as (clerk, _, _):
        hcp, gone, *_ = free(clerk)
        said = standing(clerk, [hcp, gone])
        commands.erase(gone, vendors.root, "request")
        with pytest.raises(Renewed):
            clerk.answer([])
    assert [each.disposition for each in became(vendors, said)] == ["standing", "lapsed"]
    rights_commands.stop(vendors.root, "agent", VENDOR, "owner-email", "a test")
    done = run_cycle(vendors, 1, quiet)
    assert done.result is not None
    assert done.result.decisions.filter(agent=VENDOR).select("hcp_id", "ruling").rows() == [(hcp, "forbidden")]
    told = became(vendors, said)
    assert [each.disposition for each in told] == ["forbidden", "lapsed"]
    assert told[0].payload is not None
    assert told[0].payload["verdict"]["rules"] == ["stop-0001"]
    assert replayed(vendors)[2] == []
    commands.erase(hcp, vendors.root, "request")
    assert replayed(vendors) == [[]] * 3
    assert commands.verify(vendors.root, [], None, None)["faults"] == []


def test_what_stood_and_waits_for_a_person_is_approved_or_withdrawn_like_any_other(vendors: Workspace) -> None:
    table = vendors.root / "authority.yaml"
    row = "  - {id: vendor-asks, when: agent = 'vendor-mail', verdict: confirm, roles: [medical], deadline: 3 days, on_timeout: refuse, "
    table.write_text(table.read_text().replace("\nrows:\n", f"\nrows:\n{row}owner: owner-email, reason: A test.}}\n", 1))
    amended(vendors)
    with place(vendors) as (clerk, _, _):
        said = standing(clerk, free(clerk)[:2])
    run_cycle(vendors, 1, quiet)
    first, second = became(vendors, said)
    assert (first.disposition, second.disposition) == ("waiting", "waiting")
    with place(vendors) as (clerk, _, _):
        before = clerk.standing.free["sends"] - clerk.taken.get("sends", 0)
        told = clerk.withdraw([(VENDOR, second.id)])[0]
        assert told is not None
        assert told.disposition == "withdrawn"
        assert clerk.standing.free["sends"] - clerk.taken.get("sends", 0) == before + MICRO
    (item,) = [item for item in queue_commands.queue(vendors.root)["waiting"] if item["agent"] == VENDOR]
    told_now = queue_commands.approve(vendors.root, item["digest"], "medical-lead", None, 1)
    assert told_now["became"] == "handed over", told_now
    assert [each.disposition for each in became(vendors, said)] == ["acted", "withdrawn"]
    run_cycle(vendors, 1, quiet)
    assert replayed(vendors) == [[]] * 4


ROW = {"hcp_id": "H1", "agent": VENDOR, "channel": "email", "product": "alpha", "content_id": None, "communication_type": "reminder", "value": 1}
LIVE = Charter(VENDOR, "external", "o", "promotional", "owner", (), ("email",), ("alpha",), 2, 100, 0, {}, {})


@pytest.mark.parametrize(
    ("charters", "says"),
    [
        ([LIVE], [None, None, "its charter was changed, and allows fewer on a physician"]),
        ([replace(LIVE, most_per_hcp=1)], [None, *["its charter was changed, and allows fewer on a physician"] * 2]),
        ([replace(LIVE, expires=50)], ["its charter has ended"] * 3),
        ([], ["its charter has ended"] * 3),
        ([replace(LIVE, purpose="medical")], ["its charter was changed, and does not grant it any more"] * 3),
        ([replace(LIVE, proposer="email")], ["its charter was changed, and does not grant it any more"] * 3),
        ([replace(LIVE, channels=("call",))], ["its charter was changed, and does not grant it any more"] * 3),
    ],
)
def test_what_a_charter_grants_no_more_lapses(charters: list[Charter], says: list[str | None]) -> None:
    rows = [{**ROW, "purpose": "promotional", "entry": number, "id": str(number), "asked": ""} for number in range(3)]
    found = taking_part(rows, charters, 50)
    assert found["lapsed"].to_list() == says
    assert found.filter(pl.col("lapsed").is_null())["touch"].to_list() == list(range(1, says.count(None) + 1))
