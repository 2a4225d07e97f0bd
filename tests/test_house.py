"""The house as a whole: its public names, and that nothing happens at import."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import remit

NAMES = Path(__file__).with_name("public_names.json")
ROOMS = sorted(module.name for module in pkgutil.iter_modules(remit.__path__))


def test_the_public_names_of_each_room_are_those_on_record() -> None:
    found = {room: sorted(getattr(importlib.import_module(f"remit.{room}"), "__all__", [])) for room in ROOMS}
    assert found == json.loads(NAMES.read_text())


def test_every_public_name_has_a_docstring() -> None:
    bare = []
    for room in ROOMS:
        package = importlib.import_module(f"remit.{room}")
        for name in getattr(package, "__all__", []):
            thing = getattr(package, name)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and (not thing.__doc__ or thing.__doc__.startswith(f"{name}(")):
                bare.append(f"{room}.{name}")
    assert bare == []


def test_importing_the_pure_rooms_opens_no_file_of_a_user_and_starts_no_thread() -> None:
    code = (
        "import sys, threading; opened = []\n"
        "def hook(event, args): event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+') and opened.append(args[0])\n"
        "sys.addaudithook(hook)\n"
        "import remit.terms, remit.features, remit.models, remit.agents, remit.authority, remit.arbiter, remit.worlds\n"
        "print(threading.active_count(), [path for path in opened if isinstance(path, str) and '__pycache__' not in path])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1 []"


def test_every_benchmark_can_be_loaded() -> None:
    for path in sorted(Path(__file__).parents[1].joinpath("benchmarks").glob("*.py")):
        importlib.import_module(f"benchmarks.{path.stem}" if path.stem != "__main__" else "benchmarks.__main__")
