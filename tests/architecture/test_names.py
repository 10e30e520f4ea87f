"""Names say what a thing is; those that say nothing are not used."""

import ast

import pytest

from tests.architecture import tree

EMPTY_WORDS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "manager",
    "managers",
    "processor",
    "engine",
    "info",
    "tmp",
    "base",
    "core",
    "lib",
}
PYTHON = tree.modules(*tree.ROOMS, "tests", "bench")


def test_no_module_or_folder_has_an_empty_name():
    parts = {
        word
        for path in PYTHON
        for part in (*path.parent.parts, path.stem)
        for word in part.split("_")
        if not path.is_relative_to("db/migrations")
    }
    assert "web" in parts
    assert parts & EMPTY_WORDS == set()


def test_no_class_is_a_manager_of_something():
    classes = {
        node.name
        for path in tree.modules(*tree.ROOMS)
        for node in ast.walk(ast.parse(tree.text(path)))
        if isinstance(node, ast.ClassDef)
    }
    assert len(classes) > 50
    endings = ("Manager", "Helper", "Util", "Utils", "Processor", "Engine", "Info")
    assert [name for name in classes if name.endswith(endings)] == []


def test_tests_say_what_is_and_not_what_ought_to_be():
    names = {
        node.name
        for path in tree.modules("tests")
        for node in ast.walk(ast.parse(tree.text(path)))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert len(names) > 300
    assert [name for name in names if "_should_" in name] == []


@pytest.mark.parametrize("room", tree.ROOMS)
def test_every_module_of_a_room_says_what_it_is_for(room):
    for path in tree.modules(room):
        if "migrations" not in path.parts or path.name != "env.py":
            assert ast.get_docstring(ast.parse(tree.text(path))), path


def test_imports_are_absolute():
    for path in PYTHON:
        for node in ast.walk(ast.parse(tree.text(path))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
