"""What the repository's texts may not say, and what its decisions must."""

import re

import pytest

from tests.architecture import tree

# Put together from halves, so that this file does not find itself.
FORBIDDEN = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "anaconda" + ".org",
    "index-url " + "http",
    "/wor" + "k/",
    "/tmp/" + "brief",
    "../" + "shared",
]
DECISIONS = tree.files(".md", below=("docs/adr/",))


def texts() -> dict[str, str]:
    """Return the repository's text files."""
    found = {}
    for path in tree.files():
        raw = (tree.ROOT / path).read_bytes()
        if b"\0" not in raw[:8_000] and not path.name.endswith((".gz", ".png")):
            found[str(path)] = raw.decode("utf-8", errors="replace")
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return texts()


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_text_names_a_place_that_only_its_author_knows(found, words):
    assert len(found) > 200
    assert [path for path, text in found.items() if words in text] == []


def test_no_text_leaves_work_for_later(found):
    later = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    code = {path: text for path, text in found.items() if path.endswith(".py")}
    assert [path for path, text in code.items() if later.search(text)] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_context_decision_and_consequences(path):
    text = tree.text(path)
    number = int(path.name[:4])
    assert text.startswith(f"# {number}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:3] == ["Context", "Decision", "Consequences"]
    for part in re.split(r"^#+ .+$", text, flags=re.MULTILINE)[2:]:
        assert len(part.strip()) > 40


def test_decisions_are_numbered_without_a_gap_and_listed():
    assert [int(path.name[:4]) for path in DECISIONS] == list(
        range(1, len(DECISIONS) + 1)
    )
    index = tree.text("docs/index.md")
    assert [path.name for path in DECISIONS if path.name not in index] == []


def test_no_secret_is_kept_in_the_repository(found):
    key = re.compile("fb" + r"k_[A-Za-z0-9_-]{40,}")
    private = "PRIVATE " + "KEY-----"
    assert [path for path, text in found.items() if key.search(text)] == []
    assert [path for path, text in found.items() if private in text] == []
