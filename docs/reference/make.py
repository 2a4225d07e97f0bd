"""Makes the reference: `commands.md` from the program, `library.md` from docstrings, `facts.md` from the dictionary of facts, beside this file. `--check` says
whether they are as they should be."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

import remit
from remit.runtime.__main__ import app
from remit.terms.facts import FACTS, FEEDS, UNITS, UNKNOWN, Fact, Source

HERE = Path(__file__).parent
OF_THE_MACHINE = {"threads": "the machine's cores"}
"""Defaults that each machine sets for itself, in words: the reference is the same everywhere."""


def commands() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", "Made from the program by `docs/reference/make.py`. Every command takes `--help`.", ""]
    lines += _group("remit", typer.main.get_command(app))
    return "\n".join(lines)


def _group(path: str, group: Any) -> Iterator[str]:
    """Every command of a group, and of the groups in it; a group that is a command by itself has options of its own."""
    for name, command in sorted(group.commands.items()):
        alone = getattr(command, "invoke_without_command", False)
        yield from (f"## {path} {name}", "", (inspect.getdoc(command.callback) if alone else command.help) or "", "")
        if alone or not hasattr(command, "commands"):
            yield from _parameters(command)
        if hasattr(command, "commands"):
            yield from _group(f"{path} {name}", command)


def _parameters(command: Any) -> Iterator[str]:
    yield from ("| argument or option | meaning | default |", "|---|---|---|")
    for parameter in command.params:
        names = parameter.opts if parameter.param_type_name == "option" else [(parameter.metavar or parameter.name).upper()]
        label = ", ".join(f"`{name}`" for name in names)
        yield f"| {label} | {getattr(parameter, 'help', '') or ''} | {_default(parameter)} |"
    yield ""


def _default(parameter: Any) -> str:
    """What a parameter is if nobody says; nothing where that is in its meaning."""
    if parameter.required:
        return "must be given"
    if parameter.name in OF_THE_MACHINE:
        return OF_THE_MACHINE[parameter.name]
    return "" if parameter.default in (None, False, "") else f"`{parameter.default}`"


def library() -> str:
    """Every public name of every room."""
    lines = ["# Library", "", "Made from docstrings by `docs/reference/make.py`: what each room offers to the others.", ""]
    for room in sorted(module.name for module in pkgutil.iter_modules(remit.__path__)):
        package = importlib.import_module(f"remit.{room}")
        lines += [f"## remit.{room}", "", inspect.getdoc(package) or "", ""]
        for name in sorted(getattr(package, "__all__", [])):
            lines += list(_entry(name, getattr(package, name)))
    return "\n".join(lines)


def _entry(name: str, thing: object) -> Iterator[str]:
    if inspect.isclass(thing) or inspect.isfunction(thing):
        try:
            signature = str(_short(inspect.signature(thing)))
        except ValueError:
            signature = ""
        yield f"### {name}"
        yield ""
        yield f"    {name}{signature}"
        yield ""
        yield inspect.getdoc(thing) or ""
        yield ""


class _Named:
    """A default by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def _short(signature: inspect.Signature) -> inspect.Signature:
    """With the dictionary of facts by its name, where it is a default: it has a page of its own."""
    named = (each.replace(default=_Named("FACTS")) if each.default is FACTS else each for each in signature.parameters.values())
    return signature.replace(parameters=list(named))


SOURCES: Mapping[Source, tuple[str, str]] = {
    Source.PROPOSAL: ("The proposal", "What the agent says itself."),
    Source.CHARTER: ("The charter", "What the agent's charter grants."),
    Source.RECORD: ("The records", "What feeds, the ledger and the workspace's files say as of the decision."),
    Source.MODEL: ("The models", "They may make a verdict stricter and never looser: an autonomous row that names one is refused."),
}
"""Who says a fact, as a heading, and what that means."""


INTRODUCTION = """# Facts

Made from `remit.terms.facts` by `docs/reference/make.py`: all that a row of an [authority table](../concepts/authority.md) may speak of. Where a condition
cannot be known because a fact is not, a forbidden or confirm row applies and an autonomous row does not. The last column names the tables of the warehouse
that a fact comes from, for those facts that a charter may let its agent read, each under its label
([what an agent may read](../concepts/gateway.md#what-an-agent-may-read)).
"""


def facts() -> str:
    """Every fact that a row may speak of."""
    lines = [INTRODUCTION]
    for source, (heading, says) in SOURCES.items():
        lines += [f"## {heading}", "", says, "", "| fact | kind | unit | what it says | unknown where | label | tables |", "|---|---|---|---|---|---|---|"]
        lines += [_row(fact) for fact in FACTS.values() if fact.source is source]
        lines += [""]
    return "\n".join(lines)


def _row(fact: Fact) -> str:
    tables = ", ".join(f"`{table}`" for table in FEEDS[fact.name]) or "none" if fact.name in FEEDS else ""
    labels, says = ", ".join(sorted(fact.labels)), fact.says.partition("; null")[0]
    told = (f"`{fact.name}`", fact.kind.value, UNITS.get(fact.name, ""), says, UNKNOWN.get(fact.name, "never"), labels, tables)
    return f"| {' | '.join(told)} |"


def main() -> None:
    """Writes the files, or with `--check` names those that are out of date and exits with 1."""
    pages = {"commands.md": commands(), "library.md": library(), "facts.md": facts()}
    if "--check" in sys.argv:
        stale = [name for name, text in pages.items() if not (HERE / name).is_file() or (HERE / name).read_text() != text]
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run `make reference`")
        return
    for name, text in pages.items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
