"""What agents reported of their actions, on the terminal."""

from typing import Any

from remit.runtime.printing import heading, line, table


def reported(result: dict[str, Any]) -> None:
    """Outcomes by agent, channel and what."""
    if result["reported"]:
        table(["agent", "channel", "what", "reported"], [[row["agent"], row["channel"], row["what"], row["reported"]] for row in result["reported"]])
    else:
        line("No agent has reported an outcome.")
    if result["words"]:
        line(
            f"{result['words']} came with words of a physician, which may tell of an adverse event. Safety reads them: remit outcomes reported --texts --by ..."
        )


def words(result: dict[str, Any]) -> None:
    """What physicians said, with control characters shown as such."""
    for row in result["words"]:
        about = ", ".join(str(row[name]) for name in ("agent", "channel", "product") if row[name])
        about += "" if row["action"] is None else f"; action {row['action']}"
        heading(f"entry {row['entry']}: {row['hcp_id']}, {row['what']} at {row['occurred_at']} ({about})")
        line("  " + "".join(_shown(letter) for letter in row["text"]))
    line(
        f"{len(result['words'])} in all, as {result['by']} sees them. What tells of an adverse event or a quality complaint goes to pharmacovigilance at once."
    )


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else " / " if letter == "\n" else f"\\x{ord(letter):02x}"
