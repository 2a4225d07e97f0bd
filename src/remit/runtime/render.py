"""Text for people: tables and sentences from what commands return."""

import json
import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from remit.runtime.crediting import PATHS_SAY
from remit.runtime.enrolment import UNITS
from remit.runtime.weighing import ENOUGH
from remit.terms.encoding import MICRO
from remit.terms.errors import RemitError
from remit.terms.proposals import DISPOSITIONS

_OUT = Console(highlight=False, soft_wrap=True)
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class Progress:
    """A bar on stderr that names the step at work; silent where nobody watches."""

    def __init__(self, quiet: bool) -> None:
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=_ERR, transient=True, disable=quiet or not _ERR.is_terminal
        )
        self._task = self._bar.add_task("start", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, stage: str) -> None:
        self._bar.update(self._task, description=stage)


def to_json(result: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(result, ensure_ascii=False) + "\n"


def error(fault: RemitError) -> None:
    """The one message of a user's mistake."""
    _ERR.print(f"remit: {fault}", markup=False)


def heading(text: str) -> None:
    """A line that begins a part."""
    _OUT.rule(text, align="left")


def say(text: str) -> None:
    """A line as it is."""
    _line(text)


def init(result: dict[str, Any]) -> None:
    """What was made, and how to go on."""
    _line(f"Made the workspace {result['workspace']} from the {result['of']}.")
    _table(["feed", "files"], [[name, count] for name, count in result["feeds"].items()])
    _line(f"Next: remit run -w {result['workspace']}")


def run(result: dict[str, Any]) -> None:
    """A finished cycle."""
    loaded = result["loaded"]
    _OUT.rule(f"{result['cycle']} at {result['now']}" + (" (interrupted before, now finished)" if result["resumed"] else ""), align="left")
    _line(
        f"Loaded {loaded['rows']:,} rows from {loaded['files']} files; {loaded['quarantined']} bad lines in quarantine; {loaded['not_due']} files not due yet."
    )
    for warning in loaded["warnings"]:
        _line(f"  ! {warning}")
    if result["trained"]:
        _line("Trained the models anew.")
    for name, watched in result["models"].items():
        _line(f"Model {name} ({watched['stage']}): {_ASKS[watched['asks']]}")
    if result["refused"]:
        _line(f"Refused {result['refused']} proposals that had waited past their deadline.")
    if "agents" in result:
        _decided(result)
    if result["stopped"]:
        _line(f"Stopped {result['stopped']} actions at the door: what was known had changed.")
    lists = result["files"]
    _line(f"Handed over {sum(item['rows'] for item in lists):,} actions in {len(lists)} lists; the log has {result['log_size']:,} entries.")
    slow = sorted(result["seconds"].items(), key=lambda item: -item[1])[:4]
    _line(f"Took {sum(result['seconds'].values()):.1f} s: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in slow) + ".")
    if result.get("example"):
        _line(f"A decision to look at: remit explain {result['example']}")


def _decided(result: dict[str, Any]) -> None:
    _line(f"Judged {result['decisions']:,} proposals for {result['hcps']:,} HCPs:")
    _table(
        ["agent", "proposed", *DISPOSITIONS],
        [[agent, sum(by.values()), *(by.get(name, 0) for name in DISPOSITIONS)] for agent, by in sorted(result["agents"].items())],
    )
    for failure in result["failures"]:
        _line(f"  ! {failure['agent']} failed and proposed nothing: {failure['error']}")
    for plan in result["plans"]:
        unit = "points" if plan["purpose"] == "medical" else "value"
        _line(f"{plan['purpose'].capitalize()} plan: {_amount(plan['value'])} {unit} of at most {_amount(plan['bound'])} (gap {plan['gap']:.4%}).")
        if plan["shortfalls"]:
            _line(f"  ! {plan['shortfalls']} floors or mandatory proposals could not be met: see remit show agents --json")
        for name in plan["unknown_resources"]:
            _line(f"  ! no feed states the capacity of {name}: taken as nothing")
    if result["prices"]:
        _line("The dearest resources (price: what one more unit would add):")
        _prices(result["prices"])
    for channel in sorted({row["channel"] for row in result["changes"]}):
        rows = [row for row in result["changes"] if row["channel"] == channel]
        _line(f"Against the period before, by {channel} contacts then:")
        columns = ("hcps", "before", "planned", "gain", "lose")
        _table(["contacts then", *columns], [["5+" if row["band"] == 5 else row["band"], *(row[name] for name in columns)] for row in rows])


def show(result: dict[str, Any]) -> None:
    """Whatever `show` was asked for."""
    _SHOW[result["what"]](result)


def _show_decisions(result: dict[str, Any]) -> None:
    columns = ["decision", "hcp_id", "agent", "channel", "product", "touch", "value", "ruling", "rules", "disposition"]
    _table(columns, [[_amount(row[name]) if name == "value" else row[name] for name in columns] for row in result["rows"]])
    gone = f"; {result['gone']} of erased HCPs are gone" if result["gone"] else ""
    _line(f"{len(result['rows'])} of {result['total']:,} decisions of {result['cycle']}{gone}.")


def _show_agents(result: dict[str, Any]) -> None:
    counted = ["proposed", "chosen", "waiting", "outbid", "forbidden"]
    valued = ["value", "rent", "displaced"]
    rows = [[row["agent"], row["purpose"], *(row[name] for name in counted), *(_amount(row[name]) for name in valued)] for row in result["rows"]]
    _table(["agent", "purpose", *counted, *valued], rows)
    _line("rent: price x use. displaced: what the others would have without it, less what they have. Medical amounts are points, not money.")


def _show_prices(result: dict[str, Any]) -> None:
    _prices(result["rows"])


def _prices(rows: list[dict[str, Any]]) -> None:
    columns = ["purpose", "resource", "price", "used", "capacity"]
    _table(columns, [[row["purpose"], row["resource"], *(_amount(row[name]) for name in columns[2:])] for row in rows])


def _show_quarantine(result: dict[str, Any]) -> None:
    _table(["feed", "rules broken", "lines"], [[row["feed"], row["rules"], row["len"]] for row in result["rules"]])
    _table(["file", "line", "rules broken", "cells"], [[f"{row['feed']}/{row['file']}", row["line"], row["rules"], row["cells"]] for row in result["rows"]])
    _line(f"{len(result['rows'])} of {result['total']:,} lines.")


def _show_freshness(result: dict[str, Any]) -> None:
    _line(f"As of {result['as_of']} (ages in hours):")
    columns = ["table", "rows", "assumed", "last_load", "feed_age_h", "data_age_h", "doubtful_files"]
    _table(columns, [[row[name] for name in columns] for row in result["rows"]])


def _show_models(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        _OUT.rule(f"{row['model']} {row['digest'][:16]}", align="left")
        _OUT.print_json(json.dumps(row["facts"]))


def _show_segments(result: dict[str, Any]) -> None:
    _table(["segment", "HCPs", "name", "and with prescribing"], [[row["segment"], row["hcps"], row["open_name"], row["name"]] for row in result["rows"]])
    _segments(result)


def _segments(told: dict[str, Any]) -> None:
    facts = told["facts"]
    if not facts:
        _line("The models were trained before there were segments: the next training makes some.")
        return
    stayed = "made anew" if facts["share_stayed"] is None else f"{float(facts['share_stayed']):.1%} stayed since the training before"
    _line(f"{told['count']} segments {told['digest'][:16]} of {facts['hcps']:,} HCPs when trained, {stayed}." + (f" {facts['note']}." if facts["note"] else ""))


_SHOW = {
    "decisions": _show_decisions,
    "agents": _show_agents,
    "prices": _show_prices,
    "quarantine": _show_quarantine,
    "freshness": _show_freshness,
    "models": _show_models,
    "segments": _show_segments,
}


def holdout_plan(result: dict[str, Any]) -> None:
    """What each share and length would see."""
    drawn = UNITS[result["by"]]
    for product in result["products"]:
        lengths = list(product["shares"][0]["detectable"])
        _line(f"{product['product']}: {product['units']:,} {drawn} with reports, {product['mean']} {product['outcome']} an HCP and period on the mean.")
        rows = [
            [f"{each['share']:.0%}", each["held"], each["needed"] or "more", *(_part(each["detectable"][length]) for length in lengths)]
            for each in product["shares"]
        ]
        _table(["held out", drawn, f"periods for {result['effect']:.1%}", *(f"seen in {length}" for length in lengths)], rows)
    if result["ties"]:
        _line("Peers pass on what promotion told them. The part of all ties that would join the held and the others, which hides part of what it changes:")
        shares = list(result["ties"][0]["crossing"])
        _table(
            ["drawn by", *(f"{float(share):.0%}" for share in shares)],
            [[UNITS[row["by"]], *(f"{row['crossing'][share]:.1%}" for share in shares)] for row in result["ties"]],
        )
    _line(f"With power {result['power']:.0%} at some look, {result['level']:.0%} intervals that hold at all looks together; settled by {result['settled']}.")


def _part(least: float | None) -> str:
    return "too few" if least is None else f"{least:.1%}"


def outcomes_show(result: dict[str, Any]) -> None:
    """The lift of each product, look by look."""
    hcps = result["hcps"]
    _line(f"Holdout {result['holdout']} since {result['since']}: {hcps['acted']:,} physicians acted on, {hcps['held']:,} left alone.")
    ties = result["ties"]
    if ties["of_held"] is not None:
        _line(f"Of all ties to peers {ties['crossing']:.1%} join the two sides; of those of the held {ties['of_held']:.0%} lead to who is acted on.")
    for channel, sides in result["channels"].items():
        _line(f"Of those acted on, {channel} leaves out {sides['held']:,}.")
    for product in result["products"]:
        _line(f"{product['product']}, {product['outcome']} an HCP and period:")
        names = ("effect", "low", "high", "held_mean")
        if product["looks"]:
            _table(["periods", *names], [[look["periods"], *(f"{look[name]:.4f}" for name in names)] for look in product["looks"]])
        for doubt in product["says"]:
            _line(f"  ! {doubt}")
        if product["channels"]:
            _channels(product["channels"])
    if not result["channels"]:
        _line("No channel leaves out some of its own: `channels = { email = 0.1 }` under [holdout] would show what that one changes.")
    elif any(row["shares"] for product in result["products"] for row in product["channels"]):
        _line(PATHS_SAY)
    _line(f"{result['level']:.0%} intervals that hold at all looks together; prescriptions settled by {result['settled']}.")
    if result["page"]:
        _line(f"The page with charts: {result['page']}")


def _channels(rows: list[dict[str, Any]]) -> None:
    """What each channel changed by itself at the last look, and what paths credit to it."""
    names, methods = ("effect", "low", "high"), sorted({method for row in rows for method in row["shares"]})
    cells = []
    for row in rows:
        look = row["lift"]["looks"][-1] if row["lift"] and row["lift"]["looks"] else None
        found = [row["lift"]["held"], look["periods"], *(f"{look[name]:.4f}" for name in names)] if look else [None] * 5
        cells.append([row["channel"], *found, *(f"{row['shares'][method]:.0%}" for method in methods)])
    _table(["channel alone", "left out", "periods", *names, *methods], cells)
    for row in rows:
        for doubt in [*(row["lift"]["says"] if row["lift"] else ()), *row["says"]]:
            _line(f"  ! {row['channel']}: {doubt}")


def outcomes_tried(result: dict[str, Any]) -> None:
    """What contacts changed where chance decided whether they were made."""
    _line(f"Decisions that chance made, judged by the {result['periods']} periods after each, as known at {result['as_of']}:")
    if not result["trials"]:
        _line("None. A row under `exploration` in the authority table lets contacts be tried and left out at random.")
        return
    rows = [
        [each["agent"], each["channel"], each["product"], each["decided"], each["judged"], each["made"], *_changed(each["change"])] for each in result["trials"]
    ]
    _table(["agent", "channel", "product", "by chance", "judged", "made", "units a contact changed", f"{result['level']:.0%} interval", "effective"], rows)


def outcomes_tried_by(result: dict[str, Any]) -> None:
    """What chance's decisions were worth, and would have been under another table."""
    level, money = f"{result['level']:.0%} interval", f"{result['currency']} a decision"
    _line(f"Table `{result['table']}`, version {result['version']}, on what chance decided, judged by the {result['periods']} periods after each decision,")
    _line(f"as known at {result['as_of']}: {result['decided']:,} decisions, {result['judged']:,} of them settled.")
    _line(f"Of those, {result['contacts']:,} were contacts; the table would have made {result['would_make']:,.0f} on the mean.")
    rows = [["what was done", *_worth(result["done"])], *([f"the table, by {name}", *_worth(each)] for name, each in result["other"].items())]
    _table(["", money, level, "effective"], [*rows, ["the table's gain", *_worth(result["gain"])]])
    gain = result["gain"]
    if gain["low"] == gain["high"] == 0:
        _line("The table would have decided each of them as it was decided.")
    elif gain["low"] > 0 or gain["high"] < 0:
        _line(f"The table would have been worth {'more' if gain['low'] > 0 else 'less'} than what was done.")
    else:
        _line("The two cannot be told apart: the gain's interval holds nothing.")
    if gain["effective"] < ENOUGH:
        _line(f"  ! fewer than {ENOUGH} effective decisions: believe none of these intervals")
    if result["stopped"] or result["opened"]:
        _line("Not counted, for chance did not decide and the record says nothing of their worth:")
        _line(f"{result['stopped']:,} contacts made for certain that the table forbids, {result['opened']:,} proposals forbidden then that it does not forbid.")


def _worth(value: dict[str, float]) -> list[str]:
    return [f"{value['value']:+,.2f}", f"{value['low']:+,.2f} to {value['high']:+,.2f}", f"{value['effective']:,.0f}"]


def _changed(change: dict[str, float] | None) -> list[str]:
    if change is None:
        return ["not known yet", "", ""]
    return [f"{change['value']:+.3f}", f"{change['low']:+.3f} to {change['high']:+.3f}", f"{change['effective']:,.0f}"]


def outcomes_nowcast(result: dict[str, Any]) -> None:
    """The weeks of each product that are not fully reported yet."""
    _line(f"As known at {result['as_of']}: periods whose reports still change.")
    for product in result["products"]:
        _line(f"{product['product']}, {product['outcome']} by {product['source'] or 'one source'}:" + ("" if product["periods"] else " all settled"))
        rows = [
            [row["period"], row["reported"], f"{row['expected']:,.0f}", f"{row['low']:,.0f} to {row['high']:,.0f}", _reported_part(row["share"])]
            for row in product["periods"]
        ]
        if rows:
            _table(["period", "reported", "expected", f"{result['coverage']:.0%} interval", "share reported"], rows)
    for used in result["leading"]:
        _line(f"Led by {used['indicator']}, {used['delay']} periods ahead: error of past nowcasts {used['lower_error']:.1%} lower.")


def _reported_part(share: float | None) -> str:
    return "nothing yet" if share is None else f"{share:.0%}"


def simulated(result: dict[str, Any]) -> None:
    """What policies did in a world."""
    seeds = f"{result['seeds']} seeds" if result["seeds"] > 1 else "one seed"
    _OUT.rule(f"{result['says']} ({result['world']}): {result['weeks']} weeks, {result['physicians']:,} physicians, {seeds}", align="left")
    rows = []
    for row in result["policies"]:
        left = f"{row['left_minor']['mean'] / 100:,.0f}" if "left_minor" in row else ""
        share = f"{row['of_oracle']:.0%}" if row.get("of_oracle") is not None else ""
        broken = sum(row["violations"].values())
        rows.append(
            [row["policy"], _between(row["net_minor"], 100), _between(row["units"], 1), f"{row['contacts']:,.0f}", f"{row['contacts_per_physician']:.2f}",
             f"{row['overload']:.2%}", f"{broken:,}", left, share]
        )  # fmt: skip
    money = result["currency"]
    _line(f"Net value in {money} against no action, in expectation, with 90% intervals:")
    _table(["policy", "net value", "outcome units", "contacts", "per physician", "overload", "rules broken", "left to oracle", "of oracle"], rows)
    for row in result["policies"]:
        for rule, times in row["violations"].items():
            _line(f"  ! {row['policy']}: {rule}, {times:,} times")
        if "over_greedy_minor" in row:
            _line(f"{row['policy']} above greedy: {_between(row['over_greedy_minor'], 100)} {money}")
        for said in row["models"]["says"] if "models" in row else ():
            _line(said)
    acting = [row for row in result["policies"] if row["contacts"] > 0]
    if acting:
        _line("Who was served (contacts per physician, in brackets net value per physician):")
        groups = [(each["by"], each["group"]) for each in acting[0]["served"]]
        found = {
            (row["policy"], each["by"], each["group"]): f"{each['contacts']:.1f} ({each['net_minor'] / 100:,.0f})" for row in acting for each in row["served"]
        }
        _table(["by", "group", *(row["policy"] for row in acting)], [[by, group, *(found[row["policy"], by, group] for row in acting)] for by, group in groups])
    if "what_if" in result:
        _line(f"What if {', '.join(result['what_if']['changes'])}: {_between(result['what_if']['difference_minor'], 100)} {money} against remit as it is.")
    _line(f"The page with charts: {result['report']}")


def _between(value: dict[str, float | None], scale: int) -> str:
    mean, low, high = (None if value[name] is None else f"{value[name] / scale:,.0f}" for name in ("mean", "low", "high"))  # type: ignore[operator]
    return f"{mean} [{low}, {high}]" if low is not None else f"{mean}"


def models_show(result: dict[str, Any]) -> None:
    """Each model, then whom the last cycle served."""
    for model in result["models"]:
        _model(model, result["watcher"])
    _OUT.rule("segments", align="left")
    _segments(result["segments"])
    _OUT.rule(f"Whom {result['cycle']} served", align="left")
    _audit(result["served"])


def _model(model: dict[str, Any], watcher: str | None) -> None:
    _OUT.rule(f"{model['model']} {model['digest'][:16]}: {model['stage']}", align="left")
    trained = model["trained_on"]
    where = f", out of {trained['segments']} data segments" if trained["segments"] else ""
    _line(f"Trained on {trained['rows']:,} rows of {trained['hcps']:,} HCPs, {trained['from']} to {trained['to']}{where}.")
    _table(["check", "passed", "found"], [[check["name"], "yes" if check["passed"] else "NO", check["found"]] for check in model["checks"]])
    for check in model["checks"]:
        if not check["passed"]:
            _line(f"  ! {check['name']}: {check['do']}")
    for channel, features in model["moved_by"].items():
        most = sorted(features.items(), key=lambda feature: -float(feature[1]))[:3]
        _line(f"What a touch by {channel} adds differs most by {', '.join(f'{name} ({float(share):.0%} of rows)' for name, share in most)}.")
    if not model["checks"]:
        _line("  ! it was trained before evidence was kept: it has to be trained anew")
    told = model["drift"]
    _line(f"Drift now: {_ASKS[told['asks']]} Watched by {watcher or 'nobody: name a watcher under [models] in remit.toml'}.")
    near = sorted((each for each in told["findings"] if each["figure"].startswith("input:")), key=lambda each: -float(each["shown"]))
    figures = [each for each in told["findings"] if not each["figure"].startswith("input:")]
    names = ["figure", "now", "reference", "moved by", "raise, confirm, stop", "evidence", "asks"]
    _table(names, [_drifted(each) for each in figures + near])
    _line(f"{told['columns']} columns that it reads were looked at; {len(near)} of them are shown, the others lie less than half way to their line.")
    if model["audit"]:
        _audit(model["audit"])
    for each in model["signed"]:
        _line(f"Signed by {each['person']} as {each['role']} at {each['at']}.")
    if model["missing"]:
        _line(f"Sign-offs missing: {', '.join(model['missing'])}.")


_ASKS = {
    "none": "nothing to raise.",
    "raise": "RAISE: the watcher must look.",
    "confirm": "CONFIRM: its actions need a person's yes.",
    "stop": "STOP: it should decide nothing.",
    "unwatched": "not watched: there is no reference.",
}


def _drifted(finding: dict[str, Any]) -> list[Any]:
    interval = f" ({float(finding['low']):.3f} to {float(finding['high']):.3f})" if finding["low"] else ""
    sizes = ", ".join("-" if size is None else f"{size:g}" for size in finding["threshold"].values())
    figures = [f"{float(finding['value']):.3f}{interval}", f"{float(finding['reference']):.3f}", f"{float(finding['size']):.3f}", sizes]
    return [finding["figure"].removeprefix("input:"), *figures, f"{float(finding['shown']):.0%}", finding["action"]]


def _audit(audit: dict[str, Any]) -> None:
    rows = []
    for group in audit["groups"]:
        few = group["selected"] is None
        told = ["too few to judge"] if few else [_within(group["selected"], 1)]
        figures = [_within(group["ratio"], 1), _within(group["value"], MICRO), _within(group["calibration"], 1)]
        rows.append([group["column"], group["name"], group["hcps"], *told, *figures, "!" * group["disparity"]])
    if rows:
        _table(["by", "group", "HCPs", "selected", "against highest", "value an HCP", "observed / expected", "less"], rows)
    if audit["not_held"]:
        _line(f"Not held: {', '.join(audit['not_held'])}.")
    _line(f"Intervals hold together at {float(audit['level']):.0%}; groups under {audit['least']} HCPs are too small to judge.")


def _within(interval: dict[str, str] | None, unit: int) -> str:
    if interval is None:
        return ""
    value, low, high = (float(interval[name]) / unit for name in ("value", "low", "high"))
    return f"{value:,.2f} ({low:,.2f} to {high:,.2f})"


def models_sign(result: dict[str, Any]) -> None:
    """Where the model stands after a signature."""
    _line(f"Signed. {result['model']} {result['digest'][:16]} is now in {result['stage']}.")
    if result["missing"]:
        _line(f"Sign-offs missing: {', '.join(result['missing'])}.")


def explain(result: dict[str, Any]) -> None:
    """One decision in sentences."""
    for sentence in result["says"]:
        _line(sentence)
    for turning in result.get("turning") or []:
        _line(turning)
    if result.get("written"):
        _line(f"Receipt written to {result['written']}.")


def verify(result: dict[str, Any]) -> None:
    """What was verified, and every fault."""
    if "receipts" in result:
        _line(f"Verified {result['receipts']} receipts.")
    else:
        _line(f"Log: {result['entries']:,} entries under {result['checkpoints']} signed checkpoints, root {result['root']}.")
        _line(f"Segments: {result['segments']}, with {result['rows']:,} rows; {result['opened']:,} payloads open, {result['gone']:,} erased.")
        _line(f"Recorded inputs: {result['inputs']} texts, models and warehouse segments.")
        if result["against"]:
            _line(f"The log continues the checkpoint {result['against']}.")
    for fault in result["faults"]:
        _line(f"  ! {fault['where']}: {fault['what']}")
    _line("Everything is as it was recorded." if not result["faults"] else f"{len(result['faults'])} faults.")


def replay(result: dict[str, Any]) -> None:
    """Each cycle: the same, or what differs."""
    for item in result["cycles"]:
        outcome = "the same" if not item["differs"] else "DIFFERS: " + ", ".join(item["differs"])
        _line(f"{item['cycle']}: {item['rows']:,} decisions, compared {item['compared']}: {outcome}.")
        if item["gone"]:
            _line(f"  The inputs of {item['gone']} erased HCPs are gone, so the joint choice cannot be derived again.")


def erase(result: dict[str, Any]) -> None:
    """What was destroyed, and what lies outside."""
    _line(f"Destroyed what is held of {result['hcp']}: key, salts and payloads (reference {result['reference']}, entry {result['tombstone']}).")
    _line(f"Rewrote {result['segments']} segments of the warehouse and {len(result['lists'])} lists in out/.")
    for source in result["sources"]:
        _line(f"  ! the delivered file {source} still names this HCP: remove the lines or the file; they will not be loaded again")


def migrate(result: dict[str, Any]) -> None:
    """Where the workspace stands."""
    _line(f"{result['workspace']} is at version {result['version']}.")


def _amount(micro: int | None) -> str:
    return "" if micro is None else f"{micro / MICRO:,.2f}"


def _line(text: str) -> None:
    _OUT.print(text, markup=False)


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        numeric = bool(rows) and all(
            isinstance(row[columns.index(name)], int) or str(row[columns.index(name)]).replace(",", "").replace(".", "").lstrip("-").isdigit() for row in rows
        )
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    width = None if _OUT.is_terminal else 200
    Console(file=sys.stdout, highlight=False, width=width).print(table)
