"""The documentation is held to the tree: links lead somewhere, examples are valid."""

import json
import re
from itertools import count
from pathlib import Path

import pytest

from tasks.submission import Submission
from tasks.submit import prepare
from web.schemas.jobs import SubmitJob

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OUTSIDE = re.compile(r"[a-z]+:")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PART = re.compile(r"^## (.+)$", re.MULTILINE)
_BODY = re.compile(r"-d '(\{.*?\})'(?=\s|$)", re.DOTALL)
_SHELL_VALUE = re.compile(r"'\"\$[A-Z]+\"'")
_UPLOAD = f"upl_{0:032x}"


def _named(page):
    return str(page.relative_to(ROOT))


def _links(page):
    prose = _FENCE.sub("", page.read_text())
    return [link for link in _LINK.findall(prose) if not _OUTSIDE.match(link)]


def _anchors(page):
    """The anchors of the headings, made as GitHub makes them."""
    seen = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text())):
        text = re.sub(r"\]\([^)]*\)", "]", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        names = (slug if not n else f"{slug}-{n}" for n in count())
        seen.add(next(name for name in names if name not in seen))
    return seen


def _bodies(page):
    """The JSON bodies of the page's curl lines, with shell variables filled in."""
    text = _SHELL_VALUE.sub(_UPLOAD, page.read_text())
    return [json.loads(body) for body in _BODY.findall(text)]


def _submissions():
    return [
        pytest.param(body, id=f"{_named(page)}-{number}")
        for page in PAGES
        for number, body in enumerate(_bodies(page))
        if "type" in body
    ]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    reached, waiting = set(), [index]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        paths = (link.partition("#")[0] for link in _links(page))
        waiting += [(page.parent / path).resolve() for path in paths if path]
    docs = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert sorted(map(_named, docs - reached)) == []


def test_every_decision_is_in_the_index_by_its_number():
    index = (ROOT / "docs" / "index.md").read_text().splitlines()
    for page in sorted((ROOT / "docs" / "adr").glob("*.md")):
        number = int(page.name[:4])
        title = page.read_text().splitlines()[0].removeprefix(f"# {number}. ")
        assert f"{number}. [{title}](adr/{page.name})" in index


def test_every_decision_has_context_decision_and_consequences():
    for page in sorted((ROOT / "docs" / "adr").glob("*.md")):
        assert _PART.findall(page.read_text()) == [
            "Context",
            "Decision",
            "Consequences",
        ], page.name


@pytest.mark.parametrize("body", _submissions())
def test_every_job_in_a_curl_example_is_accepted(body):
    checked = SubmitJob.model_validate(body)
    new = prepare(Submission(type=checked.type, params=checked.params))
    assert new.type == body["type"]


def test_the_readme_and_the_tutorial_submit_jobs():
    pages = {str(param.id).rpartition("-")[0] for param in _submissions()}
    assert {"README.md", "docs/tutorial/first-forecast.md"} <= pages


def test_the_readme_names_every_make_target():
    (listed,) = re.findall(
        r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    readme = (ROOT / "README.md").read_text()
    assert [name for name in listed.split() if f"`make {name}`" not in readme] == []


def test_the_pictures_are_small():
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert max(path.stat().st_size for path in pictures) <= 200_000
