"""Findings on a table, for people who sign for its rows."""

from typing import Any

from remit.runtime.printing import heading, line, table

_WHY = {"never": "never applies", "unknown": "never true", "overruled": "always overruled", "covered": "adds nothing (may be meant)"}


def check(result: dict[str, Any]) -> None:
    """Every finding, those to mend first."""
    line(f"{_table(result['table'])}, as of {result['as_of']}.")
    _part("Rows that decide nothing", [f"`{one['row']}`, {_WHY[one['why']]}: {one['says']}" for one in result["unreached"]])
    _part(
        "What charters let agents propose and no row lets pass",
        [f"{one['agent']}, {one['channel']}, {one['product']}: {one['says']}" for one in result["gaps"]],
    )
    _part("Limits that forbid everything, or never bind", [f"`{one['limit']}`: {one['says']}" for one in result["limits"]])
    _part("Guards that see nothing", result["guards"])
    _part("Owners and roles", [_ends(one) for one in result["leaving"]])
    _part("Facts that were known of nothing in the last cycle", [f"`{one['fact']}`, asked by {', '.join(one['rows'])}" for one in result["untold"]])
    pairs = result["overlaps"]
    heading("Rows that rule otherwise on the same proposals")
    for over in dict.fromkeys(one["over"] for one in pairs):
        rows = [one for one in pairs if one["over"] == over]
        line(f"`{over}` gives way to {', '.join(one['row'] for one in rows)}.")
        line(f"    {rows[0]['says']}")
    line(f"{len(pairs)} pairs; forbidden beats confirm, confirm beats autonomous. An example of each: --json." if pairs else "None.")
    faults = result["faults"]
    line(f"To mend: {faults} {'finding' if faults == 1 else 'findings'}." if faults else "Nothing to mend.")


def prove(result: dict[str, Any]) -> None:
    """Each invariant, and an example of each that does not hold."""
    invariants = result["invariants"]
    line(f"{_table(result['table'])}, as of {result['as_of']}.")
    for one in invariants:
        line(f"{'proved' if one['proved'] else 'BROKEN'}  {one['id']}: {one['says']}")
        if one["empty"]:
            line("        Its condition can never be true, so it demands nothing: look at its `when`.")
        if not one["proved"]:
            line(f"        It must be {'forbidden' if one['at_least'] == 'forbidden' else 'confirmed by a person, or forbidden'}. But: {one['example']}")
            line(f"        It is broken by {', '.join(one['rows'])}; its owner is {one['owner']}.")
    broken = sum(not one["proved"] for one in invariants)
    line(f"{len(invariants) - broken} of {len(invariants)} proved for all facts there can be, unknown ones included; {broken} broken.")


def diff(result: dict[str, Any]) -> None:
    """What would have come out otherwise, by agent and verdict."""
    since = f" since {result['since']}" if result["since"] else ""
    line(f"A: {result['was']['named']}, version {result['was']['version']}; B: {result['then']['named']}, version {result['then']['version']}.")
    line(f"Of {result['decisions']:,} decisions in {result['cycles']} cycles{since}, {result['differ']:,} would have come out otherwise under B.")
    if result["limits"]:
        line(f"Not told: what limits would change, in which the tables differ: {', '.join(result['limits'])}. A limit counts all that was done before.")
    changes = result["changes"]
    if not changes:
        return
    table(["agent", "under A", "under B", "decisions", "acted on"], [[one[name] for name in ("agent", "from", "to", "decisions", "acted")] for one in changes])
    for one in changes:
        heading(f"{one['agent']}: {one['from']} to {one['to']}")
        for example in one["examples"]:
            rows = f"A: {', '.join(example['rows']) or 'no row'}; B: {', '.join(example['rows_then']) or 'no row'}"
            line(f"remit explain {example['decision']}   {example['channel']} on {example['product']}   {rows}")


def _table(named: dict[str, Any]) -> str:
    return f"{named['name']}, version {named['version']}, {named['rows']} rows"


def _part(title: str, lines: list[str]) -> None:
    heading(title)
    for text in lines or ["None."]:
        line(text)


def _ends(one: dict[str, Any]) -> str:
    return f"{one['who']} {'left on' if one['gone'] else 'leaves on'} {one['until']}: {', '.join(one['of'])}"
