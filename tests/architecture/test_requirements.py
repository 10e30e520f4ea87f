"""What is installed is locked: exact versions, hashes, and no address of an index."""

import configparser
import re

import pytest

from tests.architecture import tree

LOCKED = ("dev", "embedded", "web", "worker")


def packages(name: str) -> dict[str, list[str]]:
    """Return the hashes of each locked ``name==version``."""
    text = tree.text(f"requirements/{name}.txt").replace("\\\n", " ")
    return {
        line.split()[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)
        for line in text.splitlines()
        if line.strip() and not line.startswith("#")
    }


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_with_hashes(name):
    found = packages(name)
    assert len(found) > 20
    for requirement, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9.-]+(\[\w+\])?==[\w.+!]+", requirement)
        assert hashes, requirement


@pytest.mark.parametrize("name", LOCKED)
def test_no_requirement_comes_from_a_place_of_its_own(name):
    text = tree.text(f"requirements/{name}.txt")
    for forbidden in ("--index-url", "--extra-index", "--find-links", "://", " @ "):
        assert forbidden not in text


@pytest.mark.parametrize("name", LOCKED)
def test_all_files_agree_on_versions(name):
    assert set(packages(name)) <= set(packages("dev"))


def test_every_requirement_of_an_extra_is_locked():
    config = configparser.ConfigParser()
    config.read(tree.ROOT / "setup.cfg")
    for extra, lines in config["options.extras_require"].items():
        file = extra if extra in LOCKED else "dev"
        locked = {line.partition("==")[0].lower() for line in packages(file)}
        for line in lines.strip().splitlines():
            name = re.split(r"[\[<>=!~]", line.strip())[0].lower()
            assert any(one.split("[")[0] == name for one in locked), (extra, name)


def test_the_web_image_needs_none_of_the_numeric_stack():
    web = {line.partition("==")[0] for line in packages("web")}
    assert not web & {"numpy", "pandas", "scipy", "statsmodels", "lightgbm", "celery"}
