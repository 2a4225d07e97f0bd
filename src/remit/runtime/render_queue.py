"""What waits for people, on the terminal."""

from typing import Any

from remit.runtime.printing import heading, line, table


def queue(result: dict[str, Any]) -> None:
    """Everything that waits, and what to type."""
    if not result["waiting"]:
        line("Nothing waits for a person.")
        return
    for item in result["waiting"]:
        heading(f"{item['digest'][:16]}  {item['decision']}: {item['agent']} asks for {item['channel']} on {item['product']} to {item['hcp_id']}")
        for reason in item["reasons"]:
            line(f"  why a person: {reason}")
        if item["content_id"]:
            line(f"  content: {item['content_id']}")
        for yes in item["given"]:
            line(f"  yes from {yes['by']} as {yes['role']}")
        for role, people in item["may"].items():
            line(f"  missing: {role} ({', '.join(people) or 'nobody on file may say it'})")
        then = "refused" if item["on_timeout"] == "refuse" or item["escalated_to"] else "taken to the person accountable"
        line(f"  until {item['deadline']}, then it is {then}" + (": that is past, and the next run does it." if item["late"] else "."))
    line(f"{len(result['waiting'])} wait at {result['now']}. To decide: remit approve DIGEST --by ..., or remit decline DIGEST --by ... --because ...")


def approve(result: dict[str, Any]) -> None:
    """What a yes has done."""
    line(f"{result['decision']}: yes from {result['by']} as {result['role']}.")
    if result["became"] == "waits":
        line("Still missing: " + "; ".join(f"{role} ({', '.join(people) or 'nobody on file may say it'})" for role, people in result["may"].items()) + ".")
    elif result["became"] == "refused":
        line(f"It may not be done any more, and is refused: {result['reason']}.")
    else:
        line("Handed over: " + ", ".join(file["name"] for file in result["files"]) + ".")


def decline(result: dict[str, Any]) -> None:
    """What a no has done."""
    line(f"{result['decision']}: overruled by {result['by']} as {result['role']}, because {result['says']}. It is refused, and what it held is free.")


def overrides(result: dict[str, Any]) -> None:
    """What people overrule."""
    if result["groups"]:
        rows = [[row["by"], row["name"], row["decided"], row["overruled"], f"{row['overruled'] / row['decided']:.0%}"] for row in result["groups"]]
        table(["by", "which", "decided by people", "overruled", "share"], rows)
    few = f" {result['too_few']} groups of fewer than {result['least']} are not shown." if result["too_few"] else ""
    line(f"People have decided on {result['decided']} actions.{few}")
