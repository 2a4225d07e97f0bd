"""Makes the reference from docstrings: `commands.md` and `library.md` beside this file. `--check` says whether they are as they should be."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import remit
from remit.runtime.__main__ import app

HERE = Path(__file__).parent


def commands() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", "Made from the program by `docs/reference/make.py`. Every command takes `--help`.", ""]
    lines += _group("remit", typer.main.get_command(app))
    return "\n".join(lines)


def _group(path: str, group: Any) -> Iterator[str]:
    """Every command of a group, and of the groups in it."""
    for name, command in sorted(group.commands.items()):
        yield from (f"## {path} {name}", "", command.help or "", "")
        if hasattr(command, "commands"):
            yield from _group(f"{path} {name}", command)
            continue
        yield from ("| argument or option | meaning |", "|---|---|")
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else [(parameter.metavar or parameter.name).upper()]
            label = ", ".join(f"`{name}`" for name in names)
            yield f"| {label} | {getattr(parameter, 'help', '') or ''} |"
        yield ""


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
            signature = str(inspect.signature(thing))
        except ValueError:
            signature = ""
        yield f"### {name}"
        yield ""
        yield f"    {name}{signature}"
        yield ""
        yield inspect.getdoc(thing) or ""
        yield ""


def main() -> None:
    """Writes both files, or with `--check` names those that are out of date and exits with 1."""
    pages = {"commands.md": commands(), "library.md": library()}
    if "--check" in sys.argv:
        stale = [name for name, text in pages.items() if not (HERE / name).is_file() or (HERE / name).read_text() != text]
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run `make reference`")
        return
    for name, text in pages.items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
