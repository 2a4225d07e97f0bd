"""Decision rights on the terminal."""

from typing import Any

from remit.runtime.chartering import in_words
from remit.runtime.printing import line, table


def change(result: dict[str, Any]) -> None:
    """What a new table changes, and whose yes it has and lacks."""
    line(f"Version {result['version']} of the table, {result['table'][:16]}, proposed by {result['by']}: {result['reason']}")
    table(["", "changes", "how", "owner"], [[each["what"], each["name"], each["how"], each["owner"]] for each in result["changes"]])
    if not result["approved_by"]:
        line(f"It decides nothing yet. {' or '.join(result['may_approve'])} may approve it: remit authority approve {result['table'][:16]} --by ...")
    elif result["missing"]:
        line(f"Approved by {', '.join(result['approved_by'])}; still missing: {', '.join(result['missing'])}, or the table's owner alone.")
    else:
        line(f"Approved by {', '.join(result['approved_by'])}. It is in force.")


def log(result: dict[str, Any]) -> None:
    """Every step of every version."""
    rows = [[step["at"], step["step"], step.get("version", ""), step["table"][:16], step.get("by", ""), _reason(step)] for step in result["steps"]]
    table(["at", "step", "version", "table", "by", "reason"], rows)
    line(f"In force at {result['now']}: {(result['in_force'] or 'none yet')[:16]}.")


def _reason(step: dict[str, Any]) -> str:
    return in_words(step["changes"], step["agent"]) if step["step"] == "charter" else step.get("reason", "")


def pack(result: dict[str, Any]) -> None:
    """Where the rules of a market went, and what to do with them."""
    line(f"{result['file']} holds the rules of {result['market']}. Read it with counsel, then name the market in remit.toml:")
    line(f'[market]\nname = "{result["market"]}"\nowner = "compliance-lead"\nconfirm = ["compliance"]')


def who(result: dict[str, Any]) -> None:
    """Who answers, and what each may do."""
    line(result["says"])
    rows = [[each["person"] + ("" if each["on_file"] else " (no longer on file)"), ", ".join(each["roles"]), each["may"]] for each in result["people"]]
    table(["person", "roles", "may"], rows)
    for person in result["gone"]:
        line(f"{person} is not in people.yaml any more.")


def stop(result: dict[str, Any]) -> None:
    """What was stopped, and what became of what was under way."""
    line(f"{result['stop']}: {_scope(result)} is stopped. {result['refused']} that waited for a person are refused.")
    if result["on_file"] is False:
        line("  ! Nobody of this id is on file: check it. The stop holds should somebody come to be.")
    _at_fault(result)
    if result["recalled"]:
        line(f"{result['recalled']} actions were handed over since the last cycle; recall-{result['stop']}.csv beside its lists names them.")
        line(f"{result['taken_back']} of them were taken out of lists that nobody had taken away yet.")
    line(f"To start again: remit start {result['stop']} --by ... --reason ..., by two people.")


def start(result: dict[str, Any]) -> None:
    """Whether it starts, or who else must say so."""
    if result["step"] == "yes":
        line(f"{result['stop']} is ended: what it stopped may be done as before.")
    else:
        line(f"{result['by']} has asked for it. {' or '.join(result['others'])} must say yes: remit start {result['stop']} --by ... --reason ...")


def status(result: dict[str, Any]) -> None:
    """Stops in force, and where the workspace stands."""
    line(
        f"Last cycle {result['cycle']} at {result['now']}; table {(result['table'] or 'none')[:16]} in force; {result['waiting']} proposals wait for a person."
    )
    _at_fault(result)
    if result["draft"]:
        line("  ! authority.yaml is a draft that nobody has approved.")
    if not result["stops"]:
        line("Nothing is stopped.")
        return
    rows = []
    for each in result["stops"]:
        last = each["last_action"]
        before = f"{last['cycle']}, entry {last['entry']}" if last else "none"
        what = f"{_scope(each)} asks {', '.join(each['roles'])}" if each["roles"] else _scope(each)
        rows.append([each["stop"], what, each["by"] or "at the machine", each["reason"], each["entry"], before, each["start_asked_by"] or ""])
    table(["stop", "what", "by", "reason", "entry", "last handed over before", "start asked by"], rows)


def _at_fault(result: dict[str, Any]) -> None:
    if result["fault"]:
        line(f"  ! What people have written cannot be used; this goes by what was used last. {result['fault']}")


def _scope(row: dict[str, Any]) -> str:
    return f"{row['scope']} {row['of']}".strip() if row["scope"] != "hcp" else "an HCP"
