"""The rooms are the repository's own: nothing installed can stand in for one."""

import configparser
import importlib
import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

from tests.architecture import tree

SHELVES = ("models", "strategies", "detectors", "connectors")
OURS = (*tree.ROOMS, "tests", "bench")


@pytest.mark.parametrize("room", OURS)
def test_a_room_is_found_in_the_repository(room):
    spec = importlib.util.find_spec(room)
    assert spec is not None
    places = [Path(place).resolve() for place in spec.submodule_search_locations or ()]
    assert places == [tree.ROOT / room]


@pytest.mark.parametrize("room", [*tree.ROOMS, "tests"])
def test_a_room_is_a_regular_package_so_that_it_wins(room):
    assert (tree.ROOT / room / "__init__.py").is_file()


def test_no_installed_distribution_owns_a_name_of_ours():
    owners = importlib.metadata.packages_distributions()
    assert "flask" in owners
    found = {name: owners[name] for name in OURS if name in owners}
    # A dependency of statsforecast ships its own tests by mistake; ours, a regular
    # package in the root, stand before them.
    assert found == {"tests": ["adagio"]}


def test_nothing_is_packaged():
    config = configparser.ConfigParser()
    config.read(tree.ROOT / "setup.cfg")
    assert config["options"]["packages"] == ""
    assert "py_modules" not in config["options"]
    assert "console_scripts" not in tree.text("setup.cfg")


def test_a_package_file_holds_no_code_but_a_registry():
    for path in tree.files("__init__.py", below=tree.ROOMS):
        lines = tree.text(path).splitlines()
        registry = path.parent.name in SHELVES
        assert registry or len(lines) <= 12, path
