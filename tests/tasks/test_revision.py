"""The revision names the code that trained, and is found without starting a program."""

import re
import subprocess

import pytest

from tasks.revision import code_revision, library_versions

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


@pytest.fixture
def tree(tmp_path):
    room = tmp_path / "forecasting" / "models"
    room.mkdir(parents=True)
    (room / "naive.py").write_text("def naive(): ...\n")
    code_revision.cache_clear()
    yield tmp_path
    code_revision.cache_clear()


def revision(tree) -> tuple[str, ...]:
    """The parts after the release: of the commit, and of the files."""
    code_revision.cache_clear()
    return tuple(code_revision(tree).partition("+")[2].split("."))


def test_the_revision_of_this_process_has_its_form(monkeypatch):
    def start(*_args, **_more) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    code_revision.cache_clear()
    found = code_revision()
    assert re.fullmatch(r"[\w.]+\+(g[0-9a-f]{12}\.)?f[0-9a-f]{12}", found)


def test_a_branch_a_packed_branch_and_a_detached_head_are_read(tree):
    git = tree / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{OTHER}\n")
    assert revision(tree)[0] == f"g{OTHER[:12]}"
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(
        "# pack-refs with: peeled\n"
        f"{OTHER} refs/heads/main-2\n{COMMIT} refs/heads/main\n"
    )
    assert revision(tree)[0] == f"g{COMMIT[:12]}"
    (git / "refs" / "heads" / "main").write_text(f"{OTHER}\n")
    assert revision(tree)[0] == f"g{OTHER[:12]}"


def test_without_a_checkout_the_files_alone_tell(tree):
    (only,) = revision(tree)
    assert re.fullmatch("f[0-9a-f]{12}", only)
    (tree / ".git").write_text("gitdir: elsewhere")
    assert revision(tree) == (only,)


def test_any_change_of_the_room_is_another_revision(tree):
    seen = {revision(tree)}
    file = tree / "forecasting" / "models" / "naive.py"
    file.write_text("def naive(): return 1\n")
    seen.add(revision(tree))
    file.rename(file.with_name("drift.py"))
    seen.add(revision(tree))
    (tree / "forecasting" / "new.py").write_text("")
    seen.add(revision(tree))
    assert len(seen) == 4
    (tree / "forecasting" / "notes.txt").write_text("not code")
    assert revision(tree) in seen


def test_the_libraries_that_train_are_named_with_their_versions():
    found = library_versions()
    assert {"python", "numpy", "lightgbm", "statsforecast"} <= set(found)
    assert all(re.match(r"\d+\.\d+", number) for number in found.values())
