"""What was found, for people: holdouts, outcomes, simulations and models."""

from typing import Any

from remit.runtime.crediting import PATHS_SAY
from remit.runtime.enrolment import UNITS
from remit.runtime.printing import heading, line, table
from remit.runtime.weighing import ENOUGH
from remit.terms.encoding import MICRO


def holdout_plan(result: dict[str, Any]) -> None:
    """What each share and length would see."""
    drawn = UNITS[result["by"]]
    for product in result["products"]:
        lengths = list(product["shares"][0]["detectable"])
        line(f"{product['product']}: {product['units']:,} {drawn} with reports, {product['mean']} {product['outcome']} an HCP and period on the mean.")
        rows = [
            [f"{each['share']:.0%}", each["held"], each["needed"] or "more", *(_part(each["detectable"][length]) for length in lengths)]
            for each in product["shares"]
        ]
        table(["held out", drawn, f"periods for {result['effect']:.1%}", *(f"seen in {length}" for length in lengths)], rows)
    if result["ties"]:
        line("Peers pass on what promotion told them. The part of all ties that would join the held and the others, which hides part of what it changes:")
        shares = list(result["ties"][0]["crossing"])
        table(
            ["drawn by", *(f"{float(share):.0%}" for share in shares)],
            [[UNITS[row["by"]], *(f"{row['crossing'][share]:.1%}" for share in shares)] for row in result["ties"]],
        )
    line(f"With power {result['power']:.0%} at some look, {result['level']:.0%} intervals that hold at all looks together; settled by {result['settled']}.")


def _part(least: float | None) -> str:
    return "too few" if least is None else f"{least:.1%}"


def outcomes_show(result: dict[str, Any]) -> None:
    """The lift of each product, look by look."""
    hcps = result["hcps"]
    line(f"Holdout {result['holdout']} since {result['since']}: {hcps['acted']:,} physicians acted on, {hcps['held']:,} left alone.")
    ties = result["ties"]
    if ties["of_held"] is not None:
        line(f"Of all ties to peers {ties['crossing']:.1%} join the two sides; of those of the held {ties['of_held']:.0%} lead to who is acted on.")
    for channel, sides in result["channels"].items():
        line(f"Of those acted on, {channel} leaves out {sides['held']:,}.")
    for product in result["products"]:
        line(f"{product['product']}, {product['outcome']} an HCP and period:")
        names = ("effect", "low", "high", "held_mean")
        if product["looks"]:
            table(["periods", *names], [[look["periods"], *(f"{look[name]:.4f}" for name in names)] for look in product["looks"]])
        for doubt in product["says"]:
            line(f"  ! {doubt}")
        if product["channels"]:
            _channels(product["channels"])
    if not result["channels"]:
        line("No channel leaves out some of its own: `channels = { email = 0.1 }` under [holdout] would show what that one changes.")
    elif any(row["shares"] for product in result["products"] for row in product["channels"]):
        line(PATHS_SAY)
    line(f"{result['level']:.0%} intervals that hold at all looks together; prescriptions settled by {result['settled']}.")
    if result["page"]:
        line(f"The page with charts: {result['page']}")


def _channels(rows: list[dict[str, Any]]) -> None:
    """What each channel changed by itself at the last look, and what paths credit to it."""
    names, methods = ("effect", "low", "high"), sorted({method for row in rows for method in row["shares"]})
    cells = []
    for row in rows:
        look = row["lift"]["looks"][-1] if row["lift"] and row["lift"]["looks"] else None
        found = [row["lift"]["held"], look["periods"], *(f"{look[name]:.4f}" for name in names)] if look else [None] * 5
        cells.append([row["channel"], *found, *(f"{row['shares'][method]:.0%}" for method in methods)])
    table(["channel alone", "left out", "periods", *names, *methods], cells)
    for row in rows:
        for doubt in [*(row["lift"]["says"] if row["lift"] else ()), *row["says"]]:
            line(f"  ! {row['channel']}: {doubt}")


def outcomes_tried(result: dict[str, Any]) -> None:
    """What contacts changed where chance decided whether they were made."""
    line(f"Decisions that chance made, judged by the {result['periods']} periods after each, as known at {result['as_of']}:")
    if not result["trials"]:
        line("None. A row under `exploration` in the authority table lets contacts be tried and left out at random.")
        return
    rows = [
        [each["agent"], each["channel"], each["product"], each["decided"], each["judged"], each["made"], *_changed(each["change"])] for each in result["trials"]
    ]
    table(["agent", "channel", "product", "by chance", "judged", "made", "units a contact changed", f"{result['level']:.0%} interval", "effective"], rows)


def outcomes_tried_by(result: dict[str, Any]) -> None:
    """What chance's decisions were worth, and would have been under another table."""
    level, money = f"{result['level']:.0%} interval", f"{result['currency']} a decision"
    line(f"Table `{result['table']}`, version {result['version']}, on what chance decided, judged by the {result['periods']} periods after each decision,")
    line(f"as known at {result['as_of']}: {result['decided']:,} decisions, {result['judged']:,} of them settled.")
    line(f"Of those, {result['contacts']:,} were contacts; the table would have made {result['would_make']:,.0f} on the mean.")
    rows = [["what was done", *_worth(result["done"])], *([f"the table, by {name}", *_worth(each)] for name, each in result["other"].items())]
    table(["", money, level, "effective"], [*rows, ["the table's gain", *_worth(result["gain"])]])
    gain = result["gain"]
    if gain["low"] == gain["high"] == 0:
        line("The table would have decided each of them as it was decided.")
    elif gain["low"] > 0 or gain["high"] < 0:
        line(f"The table would have been worth {'more' if gain['low'] > 0 else 'less'} than what was done.")
    else:
        line("The two cannot be told apart: the gain's interval holds nothing.")
    if gain["effective"] < ENOUGH:
        line(f"  ! fewer than {ENOUGH} effective decisions: believe none of these intervals")
    if result["stopped"] or result["opened"]:
        line("Not counted, for chance did not decide and the record says nothing of their worth:")
        line(f"{result['stopped']:,} contacts made for certain that the table forbids, {result['opened']:,} proposals forbidden then that it does not forbid.")


def _worth(value: dict[str, float]) -> list[str]:
    return [f"{value['value']:+,.2f}", f"{value['low']:+,.2f} to {value['high']:+,.2f}", f"{value['effective']:,.0f}"]


def _changed(change: dict[str, float] | None) -> list[str]:
    if change is None:
        return ["not known yet", "", ""]
    return [f"{change['value']:+.3f}", f"{change['low']:+.3f} to {change['high']:+.3f}", f"{change['effective']:,.0f}"]


def outcomes_nowcast(result: dict[str, Any]) -> None:
    """The weeks of each product that are not fully reported yet."""
    line(f"As known at {result['as_of']}: periods whose reports still change.")
    for product in result["products"]:
        line(f"{product['product']}, {product['outcome']} by {product['source'] or 'one source'}:" + ("" if product["periods"] else " all settled"))
        rows = [
            [row["period"], row["reported"], f"{row['expected']:,.0f}", f"{row['low']:,.0f} to {row['high']:,.0f}", _reported_part(row["share"])]
            for row in product["periods"]
        ]
        if rows:
            table(["period", "reported", "expected", f"{result['coverage']:.0%} interval", "share reported"], rows)
    for used in result["leading"]:
        line(f"Led by {used['indicator']}, {used['delay']} periods ahead: error of past nowcasts {used['lower_error']:.1%} lower.")


def _reported_part(share: float | None) -> str:
    return "nothing yet" if share is None else f"{share:.0%}"


def simulated(result: dict[str, Any]) -> None:
    """What policies did in a world."""
    seeds = f"{result['seeds']} seeds" if result["seeds"] > 1 else "one seed"
    heading(f"{result['says']} ({result['world']}): {result['weeks']} weeks, {result['physicians']:,} physicians, {seeds}")
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
    line(f"Net value in {money} against no action, in expectation, with 90% intervals:")
    table(["policy", "net value", "outcome units", "contacts", "per physician", "overload", "rules broken", "left to oracle", "of oracle"], rows)
    for row in result["policies"]:
        for rule, times in row["violations"].items():
            line(f"  ! {row['policy']}: {rule}, {times:,} times")
        if "over_greedy_minor" in row:
            line(f"{row['policy']} above greedy: {_between(row['over_greedy_minor'], 100)} {money}")
        for said in row["models"]["says"] if "models" in row else ():
            line(said)
    acting = [row for row in result["policies"] if row["contacts"] > 0]
    if acting:
        line("Who was served (contacts per physician, in brackets net value per physician):")
        groups = [(each["by"], each["group"]) for each in acting[0]["served"]]
        found = {
            (row["policy"], each["by"], each["group"]): f"{each['contacts']:.1f} ({each['net_minor'] / 100:,.0f})" for row in acting for each in row["served"]
        }
        table(["by", "group", *(row["policy"] for row in acting)], [[by, group, *(found[row["policy"], by, group] for row in acting)] for by, group in groups])
    if "what_if" in result:
        line(f"What if {', '.join(result['what_if']['changes'])}: {_between(result['what_if']['difference_minor'], 100)} {money} against remit as it is.")
    line(f"The page with charts: {result['report']}")


def _between(value: dict[str, float | None], scale: int) -> str:
    mean, low, high = (None if value[name] is None else f"{value[name] / scale:,.0f}" for name in ("mean", "low", "high"))  # type: ignore[operator]
    return f"{mean} [{low}, {high}]" if low is not None else f"{mean}"


def models_show(result: dict[str, Any]) -> None:
    """Each model, then whom the last cycle served."""
    for model in result["models"]:
        _model(model, result["watcher"])
    heading("segments")
    segments(result["segments"])
    heading(f"Whom {result['cycle']} served")
    _audit(result["served"])


def _model(model: dict[str, Any], watcher: str | None) -> None:
    heading(f"{model['model']} {model['digest'][:16]}: {model['stage']}")
    trained = model["trained_on"]
    where = f", out of {trained['segments']} data segments" if trained["segments"] else ""
    line(f"Trained on {trained['rows']:,} rows of {trained['hcps']:,} HCPs, {trained['from']} to {trained['to']}{where}.")
    table(["check", "passed", "found"], [[check["name"], "yes" if check["passed"] else "NO", check["found"]] for check in model["checks"]])
    for check in model["checks"]:
        if not check["passed"]:
            line(f"  ! {check['name']}: {check['do']}")
    for channel, features in model["moved_by"].items():
        most = sorted(features.items(), key=lambda feature: -float(feature[1]))[:3]
        line(f"What a touch by {channel} adds differs most by {', '.join(f'{name} ({float(share):.0%} of rows)' for name, share in most)}.")
    if not model["checks"]:
        line("  ! it was trained before evidence was kept: it has to be trained anew")
    told = model["drift"]
    line(f"Drift now: {ASKS[told['asks']]} Watched by {watcher or 'nobody: name a watcher under [models] in remit.toml'}.")
    near = sorted((each for each in told["findings"] if each["figure"].startswith("input:")), key=lambda each: -float(each["shown"]))
    figures = [each for each in told["findings"] if not each["figure"].startswith("input:")]
    names = ["figure", "now", "reference", "moved by", "raise, confirm, stop", "evidence", "asks"]
    table(names, [_drifted(each) for each in figures + near])
    line(f"{told['columns']} columns that it reads were looked at; {len(near)} of them are shown, the others lie less than half way to their line.")
    if model["audit"]:
        _audit(model["audit"])
    for each in model["signed"]:
        line(f"Signed by {each['person']} as {each['role']} at {each['at']}.")
    if model["missing"]:
        line(f"Sign-offs missing: {', '.join(model['missing'])}.")


ASKS = {
    "none": "nothing to raise.",
    "raise": "RAISE: the watcher must look.",
    "confirm": "CONFIRM: its actions need a person's yes.",
    "stop": "STOP: it should decide nothing.",
    "unwatched": "not watched: there is no reference.",
}
"""What drift asks for, in words."""


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
        table(["by", "group", "HCPs", "selected", "against highest", "value an HCP", "observed / expected", "less"], rows)
    if audit["not_held"]:
        line(f"Not held: {', '.join(audit['not_held'])}.")
    line(f"Intervals hold together at {float(audit['level']):.0%}; groups under {audit['least']} HCPs are too small to judge.")


def _within(interval: dict[str, str] | None, unit: int) -> str:
    if interval is None:
        return ""
    value, low, high = (float(interval[name]) / unit for name in ("value", "low", "high"))
    return f"{value:,.2f} ({low:,.2f} to {high:,.2f})"


def models_sign(result: dict[str, Any]) -> None:
    """Where the model stands after a signature."""
    line(f"Signed. {result['model']} {result['digest'][:16]} is now in {result['stage']}.")
    if result["missing"]:
        line(f"Sign-offs missing: {', '.join(result['missing'])}.")


def segments(told: dict[str, Any]) -> None:
    """How many segments there are, and how many HCPs stayed where they were."""
    facts = told["facts"]
    if not facts:
        line("The models were trained before there were segments: the next training makes some.")
        return
    stayed = "made anew" if facts["share_stayed"] is None else f"{float(facts['share_stayed']):.1%} stayed since the training before"
    line(f"{told['count']} segments {told['digest'][:16]} of {facts['hcps']:,} HCPs when trained, {stayed}." + (f" {facts['note']}." if facts["note"] else ""))
