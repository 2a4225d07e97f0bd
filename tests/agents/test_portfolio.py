"""The register of pilots, lists that companies keep of them, and where pilots collide."""

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.agents import AgentError
from remit.agents.portfolio import Metric, Pilot, Reach, Universe, collisions, import_rows, read_register, read_sheet, to_csv, with_entries
from remit.agents.portfolio.collisions import opposed, pull
from remit.agents.portfolio.columns import SYNONYMS
from remit.agents.portfolio.importing import Imported
from remit.agents.portfolio.sheets import MOST_ROWS
from remit.terms.instants import parse_instant
from remit.terms.people import Person

HEAD = ["Pilot", "Objective", "Status"]
NOW = parse_instant("2026-01-05T00:00:00Z")
PEOPLE = {"owner-a": Person("owner-a", frozenset({"agent-owner"})), "owner-gone": Person("owner-gone", frozenset({"agent-owner"}), until=NOW)}


def taken(*rows: Sequence[str], head: Sequence[str] = HEAD, choices: Sequence[str] = ()) -> Imported:
    return import_rows({"": [list(head), *map(list, rows)]}, "list.csv", choices=choices)


def cell(column: str, text: str) -> Pilot:
    """The pilot that one more column says something of."""
    return taken(["a", "More", "pilot", text], head=[*HEAD, column]).pilots[0]


def refused(*rows: Sequence[str], head: Sequence[str] = HEAD, choices: Sequence[str] = ()) -> tuple[str, ...]:
    with pytest.raises(AgentError) as caught:
        taken(*rows, head=head, choices=choices)
    return caught.value.faults


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)  # type: ignore[arg-type]  # a new one has a sheet
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# The register


def test_an_entry_says_what_a_person_wrote() -> None:
    text = (
        "pilots:\n  rep-copilot:\n    objective: More new patients\n    metric: {name: NBRx, direction: up, unit: NBRx}\n    owner: owner-a\n"
        "    channels: [email]\n    products: [alpha]\n    universe: {deciles: [8, 9, 10]}\n    sources: {rx: 1 month, crm: }\n    status: pilot\n"
        "    contacts_per_cycle: 400\n    holdout: false\n    expires: 2026-06-30T00:00:00Z\n"
    )
    assert read_register(text, "portfolio.yaml", {}) == {
        "rep-copilot": Pilot(
            "rep-copilot",
            "More new patients",
            metric=Metric("NBRx", "up", "NBRx"),
            owner="owner-a",
            channels=("email",),
            products=("alpha",),
            universe=Universe("deciles", ("8", "9", "10")),
            sources={"rx": "1 month", "crm": ""},
            status="pilot",
            contacts_per_cycle=400,
            holdout=False,
            expires=parse_instant("2026-06-30T00:00:00Z"),
        )
    }


def test_every_fault_of_a_register_is_told_by_its_line() -> None:
    text = (
        "pilots:\n  Bad Id:\n    objective: x\n    status: pilot\n  b:\n    objective: ''\n    status: maybe\n    universe: {deciles: [11]}\n"
        "    sources: {rx: sometimes}\n    metric: {name: a, direction: sideways}\n    wings: 2\n  c: {status: live}\nextra: 1\n"
    )
    with pytest.raises(AgentError) as caught:
        read_register(text, "portfolio.yaml", {})
    found = [(fault.split(":")[0], fault.split("`")[1]) for fault in caught.value.faults]
    assert found == [
        ("line 2", "pilots.Bad Id"),
        ("line 6", "pilots.b.objective"),
        ("line 7", "pilots.b.status"),
        ("line 8", "pilots.b.universe.deciles"),
        ("line 9", "pilots.b.sources.rx"),
        ("line 10", "pilots.b.metric.direction"),
        ("line 11", "pilots.b.wings"),
        ("line 12", "pilots.c.objective"),
        ("line 13", "extra"),
    ]


@pytest.mark.parametrize(
    "text", ["- a\n", "pilots: [a]\n", "pilots: {a: 1}\n", "pilots: {a: {status: live, status: idea}}\n", "pilots: {a: {\n", "\t", "a: &x [*x]"]
)
def test_what_is_no_register_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(AgentError):
        read_register(text, "portfolio.yaml", {})


@pytest.mark.parametrize("hidden", ["\\x1b[31m", "\\u202e", "\\u200b"])
def test_a_text_with_characters_that_cannot_be_seen_is_refused(hidden: str) -> None:
    with pytest.raises(AgentError, match="cannot be seen"):
        read_register(f'pilots: {{a: {{objective: "x{hidden}", status: live}}}}\n', "portfolio.yaml", {})


def test_an_entry_completes_a_charter_and_may_not_say_what_the_charter_says() -> None:
    charter = Pilot("email", "Prescriptions", owner="owner-a", status="live", charter=True)
    added = read_register("pilots: {email: {vendor: acme, universe: {specialties: [cardiology]}}}", "portfolio.yaml", {"email": charter})["email"]
    assert (added.objective, added.vendor, added.universe.members, added.charter) == ("Prescriptions", "acme", ("cardiology",), True)
    with pytest.raises(AgentError, match=r"line 1.*`pilots.email.owner` is what the charter of `email` says"):
        read_register("pilots: {email: {owner: owner-a}}", "portfolio.yaml", {"email": charter})


def test_writing_entries_keeps_what_a_person_wrote_beside_them() -> None:
    text = "# Ours\npilots:\n  a: {objective: x, status: idea}  # keep\n  b: {objective: y, status: idea}\n"
    new = with_entries(text, [Pilot("b", "z", status="live"), Pilot("c", "w")])
    assert new.startswith("# Ours\npilots:\n  a: {objective: x, status: idea}  # keep\n")
    assert {id_: pilot.objective for id_, pilot in read_register(new, "portfolio.yaml", {}).items()} == {"a": "x", "b": "z", "c": "w"}


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=30).map(lambda text: " ".join(text.split()))


@settings(deadline=None)
@given(objective=_TEXTS.filter(bool), owner=_TEXTS, content=_TEXTS, metric=_TEXTS.filter(bool))
def test_whatever_text_a_pilot_holds_it_is_read_back_as_it_was(objective: str, owner: str, content: str, metric: str) -> None:
    pilot = Pilot("a", objective, owner=owner, content=content, metric=Metric(metric, "", ""), status="live")
    assert read_register(with_entries("", [pilot]), "portfolio.yaml", {}) == {"a": pilot}


# Import


def test_columns_are_known_by_the_names_companies_give_them_under_titles_and_blank_rows() -> None:
    rows = [["AI pilots 2026", "", ""], ["", "", ""], ["Use_Case NAME ", " business objective", "Stage"], ["Rep Copilot", " More  NBRx ", "PoC"], ["", "", ""]]
    found = import_rows({"": rows}, "list.csv")
    assert (found.header, [(pilot.id, pilot.objective, pilot.status) for pilot in found.pilots]) == (3, [("rep-copilot", "More NBRx", "pilot")])


@pytest.mark.parametrize(
    ("column", "text", "field", "value"),
    [
        ("Channel", "F2F / E-Mail;WhatsApp", "channels", ("call", "email", "whatsapp")),
        ("Brand", "Alpha & Beta", "products", ("alpha", "beta")),
        ("Audience", "All HCPs", "universe", Universe("all")),
        ("Audience", "12,000 physicians", "universe", Universe("hcps", hcps=12000)),
        ("Audience", "D8 - D10", "universe", Universe("deciles", ("8", "9", "10"))),
        ("Audience", "Territories: T001; T002", "universe", Universe("territories", ("T001", "T002"))),
        ("Audience", "Cardiology, Nephrology", "universe", Universe("specialties", ("cardiology", "nephrology"))),
        ("Data sources", "Rx (weekly), CRM: daily, claims", "sources", {"rx": "1 week", "crm": "1 day", "claims": ""}),
        ("MLR approved", "in review", "content_review", False),
        ("Control group", "Yes (10%)", "holdout", True),
        ("Planned contacts", "4000.0", "contacts_per_cycle", 4000),
        ("End date", "46387", "expires", parse_instant("2026-12-31T00:00:00Z")),
        ("End date", "2026-12-31 00:00:00", "expires", parse_instant("2026-12-31T00:00:00Z")),
        ("End date", "31.12.2026", "expires", parse_instant("2026-12-31T00:00:00Z")),
        ("End date", "12/31/2026", "expires", parse_instant("2026-12-31T00:00:00Z")),
        ("KPI", "Reduce opt-outs", "metric", Metric("Reduce opt-outs", "down", "")),
        ("Owner", "n/a", "owner", ""),
        ("Owner", "=HYPERLINK(1)", "owner", "=HYPERLINK(1)"),
        ("Owner", "佐藤", "owner", "佐藤"),
    ],
)
def test_cells_are_read_as_people_write_them(column: str, text: str, field: str, value: object) -> None:
    assert getattr(cell(column, text), field) == value


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("Stage", "quux"),
        ("End date", "4/5/2026"),
        ("End date", "31.02.2026"),
        ("End date", "1200"),
        ("Planned contacts", "4.000"),
        ("Planned contacts", "many"),
        ("Audience", "Top 20% of writers"),
        ("Audience", "Deciles 0-99999999999"),
        ("Data sources", "rx (now and then)"),
        ("Control group", "perhaps"),
        ("Direction", "sideways"),
        ("Purpose", "sell more"),
        ("Content", "x" * 2001),
    ],
)
def test_a_cell_that_cannot_be_read_in_one_way_is_told_with_its_row(column: str, text: str) -> None:
    head = ["Pilot", "Objective", "Status" if column != "Stage" else "Vendor", column]
    faults = refused(["a", "More", "pilot" if column != "Stage" else "acme", text], head=head)
    assert any(fault.startswith("row 2: ") and (text.strip("rx ()")[:20] in fault or "characters" in fault) for fault in faults)


def test_rows_that_cannot_be_taken_are_all_told_and_none_is_taken() -> None:
    faults = refused(["a", "x", "live"], ["", "x", "live"], ["b", "", "live"], ["A", "x", "live"], ["c", "x", ""], ["Total: 3", "", ""])
    assert [fault.split(":")[0] for fault in faults] == ["row 3", "row 4", "row 5", "row 6", "row 7", "row 7"]


def test_two_columns_that_would_be_the_same_are_refused_until_one_is_named() -> None:
    head, row = ["Pilot", "Goal", "Description", "Status"], ["a", "More", "A tool", "live"]
    assert "`Goal` and `Description` would both be `objective`" in refused(row, head=head)[0]
    found = taken(row, head=head, choices=["description="])
    assert (found.pilots[0].objective, found.left_out) == ("More", ("Description",))
    assert taken(row, head=["Pilot", "Objective", "Description", "Status"]).pilots[0].objective == "More"


def test_a_column_of_any_name_can_be_said_to_be_one_of_ours() -> None:
    row, head = ["a", "More", "live", "acme"], [*HEAD, "Dienstleister"]
    assert taken(row, head=head).pilots[0].vendor == ""
    assert taken(row, head=head, choices=["Dienstleister=vendor"]).pilots[0].vendor == "acme"
    for wrong in (["Dienstleister=wings"], ["vendor"], ["Nobody=vendor"]):
        refused(row, head=head, choices=wrong)


def test_ids_on_file_are_not_given_again() -> None:
    rows = [HEAD, ["a", "x", "live"], ["email", "x", "live"]]
    with pytest.raises(AgentError) as caught:
        import_rows({"": rows}, "list.csv", chartered=["email"], known=["a"])
    assert ["--replace" in fault for fault in caught.value.faults] == [True, False]


def test_a_workbook_is_read_with_its_dates_numbers_and_formulas_as_data() -> None:
    rows: list[list[object]] = [["Our pilots"], [], [*HEAD, "End date", "Planned contacts", "Owner"], ["a", "x", "live", datetime(2026, 12, 31), 40, "=1+1"]]  # noqa: DTZ001 - as a sheet has it
    found = import_rows(read_sheet(workbook({"Notes": [["Nothing here"]], "Pilots": rows}), "list.xlsx"), "list.xlsx")
    assert (found.header, found.pilots[0].contacts_per_cycle, found.pilots[0].expires) == (3, 40, parse_instant("2026-12-31T00:00:00Z"))


def test_two_sheets_that_list_pilots_are_refused_until_one_is_named() -> None:
    sheets = read_sheet(workbook({"A": [HEAD, ["a", "x", "live"]], "B": [HEAD, ["b", "x", "live"]]}), "list.xlsx")
    with pytest.raises(AgentError, match="--sheet"):
        import_rows(sheets, "list.xlsx")
    with pytest.raises(AgentError, match="no sheet `C`"):
        import_rows(sheets, "list.xlsx", sheet="C")
    assert import_rows(sheets, "list.xlsx", sheet="B").pilots[0].id == "b"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_csv_is_read_whatever_separates_its_cells(mark: str, start: bytes) -> None:
    lines = [mark.join(HEAD), mark.join(["a", '"x\r\ny"', "live"])]
    assert import_rows(read_sheet(start + "\r\n".join(lines).encode(), "list.csv"), "list.csv").pilots[0].objective == "x y"


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 210_000_000)
    return out.getvalue()


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"Pilot,Objective\n\xff,x\n", "not UTF-8"),
        (b"a,b\n\0,x\n", "not text"),
        (b'Pilot,Objective,Status\n"a,x,live\n', "not CSV"),
        (b"\xd0\xcf\x11\xe0 old", "old or an encrypted"),
        (b"PK\x03\x04 no zip", "cannot be read"),
        (_cut(workbook({"A": [HEAD]})), "cannot be read"),
        (_bomb(), "unpacks to"),
        (b"a\n" * (MOST_ROWS + 1), "rows"),
        (b"," * 300, "columns"),
        (b"x" * 20_000_001, "bytes"),
    ],
    ids=["latin", "binary", "quotes", "xls", "zip", "cut", "bomb", "rows", "columns", "bytes"],
)
def test_a_file_that_is_no_list_is_refused_with_one_message(data: bytes, what: str) -> None:
    with pytest.raises(AgentError, match=what):
        read_sheet(data, "list")


@pytest.mark.parametrize("rows", [[], [["a", "b"]], [["Objective", "Status", "Owner"]], [HEAD]])
def test_a_sheet_without_pilots_is_refused(rows: list[list[str]]) -> None:
    with pytest.raises(AgentError):
        import_rows({"": rows}, "list.csv")


@pytest.mark.parametrize("cell_", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "a\x07b", "plain", "'quoted"])
def test_no_cell_of_a_written_list_begins_like_a_formula(cell_: str) -> None:
    text = to_csv(["id"], [{"id": cell_}]).splitlines()[1].strip('"')
    assert not text.lstrip().startswith(("=", "+", "-", "@"))
    assert all(ord(letter) >= 32 for letter in text)


def test_an_import_drops_characters_that_cannot_be_seen_and_says_in_which_rows() -> None:
    found = taken(["a\u200b", "Mo\x07re", "live"], ["b", "x", "live"])
    assert (found.pilots[0].id, found.pilots[0].objective, found.cleaned) == ("a", "More", (2,))


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=6), max_size=6))
def test_whatever_a_sheet_holds_it_is_taken_whole_or_refused(rows: list[list[str]]) -> None:
    told: tuple[str, ...] = ()
    try:
        pilots = import_rows({"": [[*HEAD, "Owner", "Audience", "Data"], *rows]}, "list.csv").pilots
    except AgentError as error:
        told, pilots = error.faults, ()
    assert bool(told) != bool(pilots)
    assert read_register(with_entries("", pilots), "portfolio.yaml", {}) == {pilot.id: pilot for pilot in pilots}


# Collisions


class Everywhere:
    """All pilots reach the same seven HCPs in every channel of both."""

    def shared(self, one: Pilot, other: Pilot) -> list[Reach]:
        return [Reach(channel, 7) for channel in sorted(set(one.channels) & set(other.channels))]

    def common(self, one: Pilot, other: Pilot) -> int | None:
        return 7


def governed(id_: str, metric: Metric | None = None, **more: object) -> Pilot:
    """A pilot of which nothing is missing."""
    given = {"metric": metric or Metric("satisfaction", "up", "points"), "owner": "owner-a", "stop_contact": "owner-a", "status": "live", "holdout": True}
    return Pilot(id_, "x", **{**given, "content_review": True, **more})  # type: ignore[arg-type]  # fields by name


def found(*pilots: Pilot) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.kind, each.pilots) for each in collisions(pilots, Everywhere(), PEOPLE, NOW)]


def test_pilots_that_share_nothing_and_lack_nothing_do_not_collide() -> None:
    assert found(governed("a", channels=("email",)), governed("b", channels=("call",))) == []


def test_two_pilots_in_one_channel_collide_unless_one_does_not_act() -> None:
    one = governed("a", channels=("email",))
    assert found(one, governed("b", channels=("email",))) == [("contacts", ("a", "b"))]
    assert found(one, governed("b", channels=("email",), status="idea")) == []
    assert found(one, governed("b", channels=("email",), status="stopped")) == []


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        (Metric("NBRx", "up", "NBRx"), Metric("opt-outs", "down", "people"), True),
        (Metric("calls", "up", ""), Metric("calls", "down", ""), True),
        (Metric("calls", "up", ""), Metric("cost per call", "down", "USD"), True),
        (Metric("NBRx", "up", "NBRx"), Metric("TRx", "up", "TRx"), True),
        (Metric("NBRx", "up", "NBRx"), Metric("NBRx", "up", "NBRx"), False),
        (Metric("NBRx", "up", "NBRx"), Metric("satisfaction", "up", "points"), False),
        (Metric("NBRx", "", "NBRx"), Metric("opt-outs", "down", "people"), False),
        (Metric("complaints", "down", ""), Metric("opt-outs", "down", ""), False),
    ],
)
def test_metrics_collide_where_one_pulls_contacts_up_and_the_other_down_or_units_differ(one: Metric, other: Metric, collide: bool) -> None:
    first, second = (governed(id_, metric, products=("alpha",)) for id_, metric in (("a", one), ("b", other)))
    assert (opposed(first, second) is not None, opposed(second, first) is not None) == (collide, collide)


def test_metrics_of_other_products_or_purposes_do_not_collide() -> None:
    up, down = Metric("NBRx", "up", ""), Metric("opt-outs", "down", "")
    assert opposed(governed("a", up, products=("alpha",)), governed("b", down, products=("beta",))) is None
    assert opposed(governed("a", up), governed("b", down, purpose="medical")) is None
    assert opposed(governed("a", up, products=("alpha",)), governed("b", down)) is not None  # one that names no product is for all


def test_a_metric_pulls_as_its_words_and_its_direction_say() -> None:
    names = {"TRx of alpha": (1, 0), "Emails sent": (1, -1), "Opt-out rate": (0, -1), "Cost per call": (0, -1), "Joy": (0, 0)}
    assert {name: tuple(pull(Metric(name, direction, "")) for direction in ("up", "down")) for name in names} == names


def test_a_source_that_pilots_renew_at_different_times_is_one_collision_of_all() -> None:
    pilots = [governed(id_, sources={"rx": span}) for id_, span in (("a", "1 day"), ("b", "1 week"), ("c", "7 days"), ("d", ""))]
    (each,) = collisions(pilots, Everywhere(), PEOPLE, NOW)
    assert (each.kind, each.pilots, "every 1 day: a; every 1 week: b, c" in each.what) == ("refresh", ("a", "b", "c"), True)


@pytest.mark.parametrize(
    ("lacks", "what"),
    [
        ({"owner": ""}, "no owner"),
        ({"owner": "nobody"}, "not in the file of people"),
        ({"owner": "owner-gone"}, "no longer on file"),
        ({"stop_contact": ""}, "no stop contact"),
        ({"metric": None}, "no metric"),
        ({"metric": Metric("x", "", "")}, "whether more or less"),
        ({"expires": NOW}, "term has ended"),
        ({"holdout": False}, "nobody is left alone"),
        ({"holdout": None}, "nobody has said whether anybody is left alone"),
        ({"content_review": False}, "not reviewed"),
    ],
)
def test_what_is_missing_of_a_pilot_that_acts_is_told(lacks: dict[str, object], what: str) -> None:
    pilot = governed("a")
    lacking = Pilot(**{**{name: getattr(pilot, name) for name in pilot.__slots__}, **lacks})
    (each,) = collisions([lacking], Everywhere(), PEOPLE, NOW)
    assert (each.kind, what in each.what, bool(each.ask)) == ("governance", True, True)


def test_medical_work_needs_no_holdout() -> None:
    assert found(governed("a", purpose="medical", holdout=None, content_review=None)) == []


# The page


def test_the_page_names_every_column_and_all_that_it_may_be_called() -> None:
    page = (Path(__file__).parents[2] / "docs/concepts/portfolio.md").read_text()
    assert [key for key, names in SYNONYMS.items() if f"| {key} | {', '.join(names)} |" not in page] == []


def test_the_register_on_the_page_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs/concepts/portfolio.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    pilots = read_register(text, "portfolio.yaml", {"email": Pilot("email", charter=True)})
    assert (pilots["rep-copilot"].universe.members, pilots["email"].vendor) == (("8", "9", "10"), "acme")
