"""The commands under `remit portfolio`, and what they print."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from remit.runtime import printing
from remit.runtime.errors import WorkspaceError
from remit.runtime.options import AsJson, Folder, say
from remit.runtime.portfolio import compare, overlaps, register
from remit.runtime.portfolio import shadow as shadows
from remit.runtime.portfolio.page import compare_page
from remit.runtime.workspace import write_whole
from remit.terms.encoding import MICRO

portfolio = typer.Typer(invoke_without_command=True, help="Every pilot on file, where pilots collide, and what they do alone and together.")


@portfolio.callback()
def list_pilots(
    context: typer.Context,
    workspace: Folder = Path(),
    csv: Annotated[Path | None, typer.Option(help="Write the list as CSV here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every pilot on file, where pilots collide, and what they do alone and together; by itself: the list."""
    if context.invoked_subcommand is None:
        say(register.listed(workspace, csv), as_json, _print_list)


@portfolio.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(help="A CSV in UTF-8, or an XLSX.")],
    workspace: Folder = Path(),
    column: Annotated[list[str] | None, typer.Option("--map", help="What a column is: `Their column=objective`, or `Their column=` to leave it out.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet, where several list pilots.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put rows in the place of entries of the same id.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a company's list of pilots to the register: every row, or none."""
    say(register.imported(workspace, file, column or [], sheet, replace=replace), as_json, _print_import)


@portfolio.command("collisions")
def show_collisions(
    workspace: Folder = Path(),
    limit: Annotated[int, typer.Option(min=1, help="How many of each kind to print.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show where pilots are in each other's way: HCPs, metrics, data, and what nobody has settled."""
    say(overlaps.told(workspace), as_json, lambda result: _print_collisions(result, limit))


@portfolio.command("compare")
def show_comparison(
    workspace: Folder = Path(),
    cycle: Annotated[str | None, typer.Option(help="The cycle; the last one if not given.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write a page with charts here.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to use; the result is the same for any number.")] = os.cpu_count() or 1,
    as_json: AsJson = False,
) -> None:
    """Show what each agent would do alone, what all do together, what each displaced of the others, and contacts per HCP before and after."""
    with printing.Progress(quiet=as_json) as progress:
        result = compare.compared(workspace, cycle, threads, progress)
    if page is not None:
        write_whole(page, compare_page(result).encode())
    say({**result, "page": None if page is None else str(page)}, as_json, _print_comparison)


def shadow(
    workspace: Folder = Path(),
    table: Annotated[Path | None, typer.Option(help="Another authority table.")] = None,
    agent: Annotated[Path | None, typer.Option(help="The charter of an agent that is not there yet, or another charter of one that is.")] = None,
    all_of_remit: Annotated[bool, typer.Option("--all-of-remit", help="What Remit planned, beside what the company did.")] = False,
    cycles: Annotated[int | None, typer.Option(min=1, help="How many of the last cycles; all of them if not given.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to use; the result is the same for any number.")] = os.cpu_count() or 1,
    as_json: AsJson = False,
) -> None:
    """Show where a table, an agent or all of Remit would have differed from what was done, over recorded cycles, and what that was expected to be worth."""
    if all_of_remit == (table is not None or agent is not None):
        raise WorkspaceError("nothing to shadow, or two things at once", do="Give --all-of-remit alone, or --table FILE, --agent CHARTER or both.")
    with printing.Progress(quiet=as_json) as progress:
        result = shadows.today(workspace, cycles, progress) if all_of_remit else shadows.would(workspace, table, agent, cycles, threads, progress)
    say(result, as_json, _print_today if all_of_remit else _print_would)


def _print_list(result: dict[str, Any]) -> None:
    for pilot in result["pilots"]:
        printing.heading(f"{pilot['id']}: {pilot['status']}{', under a charter' if pilot['charter'] else ''}")
        for name, value in _facts(pilot).items():
            printing.line(f"  {name + ':':<15}{value or 'not said'}")
    printing.line(f"{len(result['pilots'])} pilots as of {result['as_of']}.")
    if result["csv"]:
        printing.line(f"Written to {result['csv']}.")


def _facts(pilot: dict[str, Any]) -> dict[str, str]:
    metric, universe = pilot.get("metric"), pilot.get("universe", "")
    if isinstance(universe, dict):
        universe = "; ".join(f"{by} {', '.join(map(str, members)) if isinstance(members, list) else f'{members:,}'}" for by, members in universe.items())
    sources = (f"{name} ({f'every {span}' if span else 'refresh not said'})" for name, span in pilot.get("sources", {}).items())
    review = {True: "reviewed", False: "not reviewed"}.get(pilot.get("content_review"), "")  # type: ignore[arg-type]  # None has no entry
    return {
        "objective": pilot.get("objective", ""),
        "metric": ", ".join(filter(None, (metric["name"], metric.get("direction"), metric.get("unit")))) if metric else "",
        "owner": " at ".join(filter(None, (pilot.get("owner", ""), pilot.get("vendor", "")))),
        "channels": ", ".join(pilot.get("channels", ())),
        "products": ", ".join(pilot.get("products", ())),
        "HCP universe": universe,
        "data sources": ", ".join(sources),
        "content": ", ".join(filter(None, (pilot.get("content", ""), review))),
        "stop contact": pilot.get("stop_contact", ""),
    }


def _print_import(result: dict[str, Any]) -> None:
    printing.line(f"Row {result['header_row']} names the columns: " + ", ".join(f"`{name}` is {key}" for name, key in result["columns"].items()) + ".")
    if result["left_out"]:
        printing.line(f"Left out: {', '.join(f'`{name}`' for name in result['left_out'])}.")
    if result["cleaned_rows"]:
        printing.line(f"Characters that cannot be seen were dropped in rows {', '.join(map(str, result['cleaned_rows']))}.")
    printing.line(f"Added {len(result['added'])} pilots and replaced {len(result['replaced'])}; {result['register']} and the charters hold {result['pilots']}.")


_TITLES = {
    "contacts": "The same HCP, channel and week",
    "metrics": "Opposed or incompatible metrics",
    "refresh": "The same data, renewed at different times",
    "governance": "Missing governance",
}


def _print_collisions(result: dict[str, Any], limit: int) -> None:
    for kind, title in _TITLES.items():
        found = [each for each in result["collisions"] if each["kind"] == kind]
        printing.heading(f"{title}: {len(found)}")
        for each in found[:limit]:
            hcps = "" if each["hcps"] is None else f", {each['hcps']:,} HCPs"
            printing.line(f"  {', '.join(each['pilots'])}{hcps}: {each['what']}.")
            printing.line(f"      {each['why']} Ask {', '.join(each['ask'])}.")
        if len(found) > limit:
            printing.line(f"  ... and {len(found) - limit} more; --limit shows them.")
    for said in result["says"]:
        printing.line(said)


_MOST_SHOWN = 8


def _print_comparison(result: dict[str, Any]) -> None:
    for purpose in result["purposes"]:
        rows = [row for row in result["agents"] if row["purpose"] == purpose["purpose"]]
        unit = "points" if purpose["purpose"] == "medical" else result["currency"]
        printing.heading(f"{result['cycle']} at {result['now']}: {purpose['purpose']}, {purpose['agents']} agents, values in {unit}")
        printing.table(
            ["agent", "value alone", "together", "displaced", "rent", "actions alone", "together", "contacts alone", "together"],
            [
                [
                    row["agent"],
                    _amount(row["alone"]["value"]),
                    _amount(row["together"]["value"]),
                    _amount(row["displaced"]),
                    _amount(row["rent"]),
                    *(row[when][what] for what in ("actions", "contacts") for when in ("alone", "together")),
                ]
                for row in rows
            ],
        )
        alone, together = purpose["alone"], purpose["together"]
        printing.line(f"Each alone, summed: {_amount(alone['value'])} {unit}, {alone['contacts']:,} contacts. Together: {_amount(together['value'])} {unit}.")
        pairs = [(value, one, other) for one, row in result["displaces"][purpose["purpose"]].items() for other, value in row.items() if value > 0]
        for value, one, other in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_MOST_SHOWN]:
            printing.line(f"  Without {one}, {other} would have {_amount(value)} more.")
    contacts = result["contacts"]
    printing.heading(f"Contacts per HCP in the cycle, of {contacts['hcps']:,} whom an agent may contact")
    printing.table(["contacts", "HCPs, each alone", "HCPs, together"], [[row["contacts"], row["before"], row["after"]] for row in contacts["distribution"]])
    before, after = contacts["before"], contacts["after"]
    printing.line(
        f"Each alone, summed: {before['contacts']:,} contacts, {before['mean']:.2f} an HCP, at most {before['most']}; {before['over']:,} HCPs above the "
        f"{result['per_cycle']} allowed. Together: {after['contacts']:,}, {after['mean']:.2f} an HCP, at most {after['most']}; {after['over']:,} above."
    )
    printing.line("displaced: what the others would have more without it. rent: price x use. Alone, an agent has all capacity and every HCP to itself.")
    for said in result["says"]:
        printing.line(f"  ! {said}")
    if result["page"]:
        printing.line(f"Charts are in {result['page']}.")


_EXPECTED = "Values are what the models of each cycle expected, not what was measured; each cycle stands alone."


def _print_would(result: dict[str, Any]) -> None:
    what = " and ".join(filter(None, (result["table"] and f"the table {result['table']}", result["agent"] and f"the agent {result['agent']}")))
    printing.heading(f"In the shadow: {what}")
    rows = []
    for cycle in result["cycles"]:
        actions, waiting = cycle["actions"], cycle["waiting"]
        for purpose, value in cycle["value"].items():
            more = value["shadow"] - value["recorded"]
            rows.append([cycle["cycle"], purpose, _amount(value["recorded"]), _amount(value["shadow"]), _amount(more), *actions.values(), waiting["shadow"]])
    if result["limits"]:
        printing.line(f"Not told: what its other limits would change ({', '.join(result['limits'])}). Those of each cycle's own table hold here.")
    printing.table(["cycle", "purpose", "value recorded", "in the shadow", "more", "actions", "in the shadow", "added", "dropped", "waiting then"], rows)
    for cycle in result["cycles"]:
        if "agent" in cycle:
            own = cycle["agent"]
            rulings = ", ".join(f"{count:,} {ruling}" for ruling, count in own["rulings"].items())
            told = f"{own['proposed']:,} proposals ({rulings}), given {_amount(own['value'])}, displacing {_amount(own['displaced'])} of the others"
            printing.line(f"{cycle['cycle']}: {told}.")
        for agent in cycle["agents"]:
            if agent["added"] or agent["dropped"]:
                printing.line(f"{cycle['cycle']}: {agent['agent']} would do {agent['added']:,} actions more and {agent['dropped']:,} fewer.")
        if cycle["gone"]:
            printing.line(f"  ! {cycle['cycle']}: {cycle['gone']:,} decisions of erased HCPs are gone; the value recorded counts them, the shadow's does not.")
    printing.line(f"{_EXPECTED} Actions and waiting are of all purposes together. Nothing was acted on.")


def _print_today(result: dict[str, Any]) -> None:
    for cycle in result["cycles"]:
        printing.heading(f"{cycle['cycle']} at {cycle['now']}")
        columns = ["purpose", "channel", "remit", "today", "both", "not_proposed", "forbidden"]
        names = ["purpose", "channel", "Remit planned", "done today", "of both", "done, proposed by nobody", "done, forbidden here"]
        printing.table(names, [[row[name] for name in columns] for row in cycle["channels"]])
        for purpose, value in cycle["value"].items():
            unit = "points" if purpose == "medical" else result["currency"]
            printing.line(f"{purpose.capitalize()}: Remit's plan {_amount(value['remit'])} {unit}; what was done {_amount(value['today'])}.")
        if cycle["asked_by_remit"]:
            printing.line(f"  ! {cycle['asked_by_remit']:,} of what was done had been asked for by Remit: it did not run in the shadow.")
        if cycle["gone"]:
            printing.line(f"  ! {cycle['gone']:,} decisions of erased HCPs are gone.")
    for name in result["untold"]:
        printing.line(f"{name}: the company has not told yet what it did.")
    printing.line(f"{_EXPECTED} A contact that nobody proposed counts as nothing. Nothing was acted on.")


def _amount(micro: int | None) -> str:
    return "" if micro is None else f"{micro / MICRO:,.2f}"
