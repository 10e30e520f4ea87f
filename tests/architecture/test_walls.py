"""The walls between the rooms stand, and each of them holds."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tree

LINTER = Path(sys.executable).with_name("lint-imports")
WALLS = {
    "Doors above tasks, tasks above the independent rooms",
    "The supervisor knows the doors only as commands",
    "Only workers know Celery",
    "Only web knows Flask",
    "Only db knows SQLAlchemy",
    "The web door never imports the science rooms itself",
    "No cycles inside a room",
}
BREACHES = {
    "ingest/planted_layers.py": "import analysis",
    "embedded/planted_embedded.py": "import web.app",
    "tasks/planted_celery.py": "import celery",
    "workers/planted_flask.py": "import flask",
    "forecasting/planted_sqlalchemy.py": "import sqlalchemy",
    "web/planted_science.py": "import forecasting.losses",
    "db/planted_here.py": "import db.planted_there",
    "db/planted_there.py": "import db.planted_here",
}


def run(folder: Path) -> tuple[int, str]:
    """Run import-linter on a tree; return its exit code and what it says."""
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        [str(LINTER), "--no-cache"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def walls() -> dict[str, configparser.SectionProxy]:
    config = configparser.ConfigParser()
    config.read(tree.ROOT / "setup.cfg")
    return {
        config[section]["name"]: config[section]
        for section in config.sections()
        if section.startswith("importlinter:contract:")
    }


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> str:
    """What import-linter says of a copy in which every wall is broken."""
    folder = tmp_path_factory.mktemp("planted")
    ignored = shutil.ignore_patterns("__pycache__", "*.gz")
    for room in tree.ROOMS:
        shutil.copytree(tree.ROOT / room, folder / room, ignore=ignored)
    shutil.copy(tree.ROOT / "setup.cfg", folder)
    for path, statement in BREACHES.items():
        (folder / path).write_text(f"{statement}\n")
    code, told = run(folder)
    assert code == 1, told
    return told


def test_all_walls_stand():
    code, told = run(tree.ROOT)
    assert code == 0, told
    assert f"Contracts: {len(WALLS)} kept, 0 broken." in told


def test_no_wall_was_taken_down():
    assert set(walls()) == WALLS
    config = configparser.ConfigParser()
    config.read(tree.ROOT / "setup.cfg")
    assert set(config["importlinter"]["root_packages"].split()) == set(tree.ROOMS)
    assert not any("ignore_imports" in section for section in walls().values())


@pytest.mark.parametrize("wall", sorted(WALLS))
def test_a_breach_of_a_wall_is_found(broken, wall):
    assert f"{wall} BROKEN" in broken


def test_every_room_but_the_owner_is_kept_from_each_framework():
    for name, owner in (("Celery", "workers"), ("Flask", "web")):
        (wall,) = [
            one for title, one in walls().items() if title.endswith(f"know {name}")
        ] or [one for title, one in walls().items() if title.endswith(f"knows {name}")]
        assert set(wall["source_modules"].split()) == set(tree.ROOMS) - {owner}
    guarded = walls()["Only db knows SQLAlchemy"]
    assert guarded["allowed_importers"].split() == ["db"]
