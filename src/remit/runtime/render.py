"""What a cycle did and what the ledger holds, for people: tables and sentences from what commands return."""

from typing import Any

from remit.runtime.printing import facts, heading, line, table
from remit.runtime.render_findings import ASKS, segments
from remit.terms.encoding import MICRO
from remit.terms.proposals import DISPOSITIONS


def init(result: dict[str, Any]) -> None:
    """What was made, and how to go on."""
    line(f"Made the workspace {result['workspace']} from the {result['of']}.")
    table(["feed", "files"], [[name, count] for name, count in result["feeds"].items()])
    line(f"Next: remit run -w {result['workspace']}")


def load(loaded: dict[str, Any]) -> None:
    """What was taken in."""
    line(
        f"Loaded {loaded['rows']:,} rows from {loaded['files']} files; {loaded['quarantined']} bad lines in quarantine; {loaded['not_due']} files not due yet."
    )
    for warning in loaded["warnings"]:
        line(f"  ! {warning}")


def run(result: dict[str, Any]) -> None:
    """A finished cycle."""
    heading(f"{result['cycle']} at {result['now']}" + (" (interrupted before, now finished)" if result["resumed"] else ""))
    load(result["loaded"])
    if result["trained"]:
        line("Trained the models anew.")
    for name, watched in result["models"].items():
        line(f"Model {name} ({watched['stage']}): {ASKS[watched['asks']]}")
    if any(watched["asks"] not in ("none", "unwatched") for watched in result["models"].values()):
        by_inputs = " (inputs alone may move as they were meant to)" if result["drift"] in ("raise", None) else ""
        line(f"To the authority table, drift asked for `{result['drift'] or 'unknown'}`{by_inputs}.")
    if result["draft"]:
        line("  ! authority.yaml is a draft: the version in force decided. `remit authority propose` puts the draft before those who may approve it.")
    for charter in result["charters"]:
        line(f"  ! A charter has other rules than in the last cycle, which is on record. {charter}.")
    if result["refused"]:
        line(f"Refused {result['refused']} proposals that had waited past their deadline.")
    if "agents" in result:
        _decided(result)
    if result["stopped"]:
        line(f"Stopped {result['stopped']} actions at the door: what was known had changed.")
    lists = result["files"]
    line(f"Handed over {sum(item['rows'] for item in lists):,} actions in {len(lists)} lists; the log has {result['log_size']:,} entries.")
    slow = sorted(result["seconds"].items(), key=lambda item: -item[1])[:4]
    line(f"Took {sum(result['seconds'].values()):.1f} s: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in slow) + ".")
    if result.get("example"):
        line(f"A decision to look at: remit explain {result['example']}")


def _decided(result: dict[str, Any]) -> None:
    line(f"Judged {result['decisions']:,} proposals for {result['hcps']:,} HCPs:")
    table(
        ["agent", "proposed", *DISPOSITIONS],
        [[agent, sum(by.values()), *(by.get(name, 0) for name in DISPOSITIONS)] for agent, by in sorted(result["agents"].items())],
    )
    for failure in result["failures"]:
        line(f"  ! {failure['agent']} failed and proposed nothing: {failure['error']}")
    for plan in result["plans"]:
        unit = "points" if plan["purpose"] == "medical" else "value"
        line(f"{plan['purpose'].capitalize()} plan: {_amount(plan['value'])} {unit} of at most {_amount(plan['bound'])} (gap {plan['gap']:.4%}).")
        if plan["shortfalls"]:
            line(f"  ! {plan['shortfalls']} floors or mandatory proposals could not be met: see remit show agents --json")
        for name in plan["unknown_resources"]:
            line(f"  ! no feed states the capacity of {name}: taken as nothing")
    if result["prices"]:
        line("The dearest resources (price: what one more unit would add):")
        _prices(result["prices"])
    for channel in sorted({row["channel"] for row in result["changes"]}):
        rows = [row for row in result["changes"] if row["channel"] == channel]
        line(f"Against the period before, by {channel} contacts then:")
        columns = ("hcps", "before", "planned", "gain", "lose")
        table(["contacts then", *columns], [["5+" if row["band"] == 5 else row["band"], *(row[name] for name in columns)] for row in rows])


def show(result: dict[str, Any]) -> None:
    """Whatever `show` was asked for."""
    _SHOW[result["what"]](result)


def _show_decisions(result: dict[str, Any]) -> None:
    columns = ["decision", "hcp_id", "agent", "channel", "product", "touch", "value", "ruling", "rules", "disposition"]
    table(columns, [[_amount(row[name]) if name == "value" else row[name] for name in columns] for row in result["rows"]])
    gone = f"; {result['gone']} of erased HCPs are gone" if result["gone"] else ""
    line(f"{len(result['rows'])} of {result['total']:,} decisions of {result['cycle']}{gone}.")


def _show_agents(result: dict[str, Any]) -> None:
    counted = ["proposed", *DISPOSITIONS]
    valued = ["value", "rent", "displaced"]
    rows = [[row["agent"], row["purpose"], *(row[name] for name in counted), *(_amount(row[name]) for name in valued)] for row in result["rows"]]
    table(["agent", "purpose", *counted, *valued], rows)
    line("rent: price x use. displaced: what the others would have without it, less what they have. Medical amounts are points, not money.")


def _show_prices(result: dict[str, Any]) -> None:
    _prices(result["rows"])


def _prices(rows: list[dict[str, Any]]) -> None:
    columns = ["purpose", "resource", "price", "used", "capacity"]
    table(columns, [[row["purpose"], row["resource"], *(_amount(row[name]) for name in columns[2:])] for row in rows])


def _show_quarantine(result: dict[str, Any]) -> None:
    table(["feed", "rules broken", "lines"], [[row["feed"], row["rules"], row["len"]] for row in result["rules"]])
    table(["file", "line", "rules broken", "cells"], [[f"{row['feed']}/{row['file']}", row["line"], row["rules"], row["cells"]] for row in result["rows"]])
    line(f"{len(result['rows'])} of {result['total']:,} lines.")


def _show_freshness(result: dict[str, Any]) -> None:
    line(f"As of {result['as_of']} (ages in hours):")
    columns = ["table", "rows", "assumed", "last_load", "feed_age_h", "data_age_h", "doubtful_files"]
    table(columns, [[row[name] for name in columns] for row in result["rows"]])


def _show_models(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        heading(f"{row['model']} {row['digest'][:16]}")
        facts(row["facts"])


def _show_segments(result: dict[str, Any]) -> None:
    table(["segment", "HCPs", "name", "and with prescribing"], [[row["segment"], row["hcps"], row["open_name"], row["name"]] for row in result["rows"]])
    segments(result)


_SHOW = {
    "decisions": _show_decisions,
    "agents": _show_agents,
    "prices": _show_prices,
    "quarantine": _show_quarantine,
    "freshness": _show_freshness,
    "models": _show_models,
    "segments": _show_segments,
}


def explain(result: dict[str, Any]) -> None:
    """One decision in sentences."""
    for sentence in result["says"]:
        line(sentence)
    for turning in result.get("turning") or []:
        line(turning)
    if result.get("written"):
        line(f"Receipt written to {result['written']}.")


def verify(result: dict[str, Any]) -> None:
    """What was verified, and every fault."""
    if "receipts" in result:
        line(f"Verified {result['receipts']} receipts.")
    else:
        line(f"Log: {result['entries']:,} entries under {result['checkpoints']} signed checkpoints, root {result['root']}.")
        line(f"Segments: {result['segments']}, with {result['rows']:,} rows; {result['opened']:,} payloads open, {result['gone']:,} erased.")
        line(f"Recorded inputs: {result['inputs']} texts, models and warehouse segments.")
        if result["against"]:
            line(f"The log continues the checkpoint {result['against']}.")
    for fault in result["faults"]:
        line(f"  ! {fault['where']}: {fault['what']}")
    line("Everything is as it was recorded." if not result["faults"] else f"{len(result['faults'])} faults.")


def replay(result: dict[str, Any]) -> None:
    """Each cycle: the same, or what differs."""
    for item in result["cycles"]:
        outcome = "the same" if not item["differs"] else "DIFFERS: " + ", ".join(item["differs"])
        line(f"{item['cycle']}: {item['rows']:,} decisions, compared {item['compared']}: {outcome}.")
        if item["gone"]:
            line(f"  The inputs of {item['gone']} erased HCPs are gone, so the joint choice cannot be derived again.")
    for item in result["between"]:
        outcome = "the same" if not item["differs"] else "DIFFERS: " + ", ".join(item["differs"])
        line(f"{item['cycle']}: {item['rows']:,} decisions, compared {item['compared']}: {outcome}.")
        if item["gone"]:
            line(f"  {item['gone']} more were about HCPs who have been erased: their payloads are gone.")
        if item["unplaced"]:
            line(f"  {item['unplaced']} more were recorded before it was kept what they were made from.")


def erase(result: dict[str, Any]) -> None:
    """What was destroyed, and what lies outside."""
    line(f"Destroyed what is held of {result['hcp']}: key, salts and payloads (reference {result['reference']}, entry {result['tombstone']}).")
    line(f"Rewrote {result['segments']} segments of the warehouse and {len(result['lists'])} lists in out/.")
    for source in result["sources"]:
        line(f"  ! the delivered file {source} still names this HCP: remove the lines or the file; they will not be loaded again")


def migrate(result: dict[str, Any]) -> None:
    """Where the workspace stands."""
    line(f"{result['workspace']} is at version {result['version']}.")


def _amount(micro: int | None) -> str:
    return "" if micro is None else f"{micro / MICRO:,.2f}"
