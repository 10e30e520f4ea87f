"""Files and functions stay small enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import tree

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
PYTHON = tree.modules(*tree.ROOMS, "tests", "bench")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(tree.text(path))):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Return the lines of a function without its docstring."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or 0) - first.lineno + 1)


def test_there_is_something_to_measure():
    assert len(PYTHON) > 100


def test_every_file_fits_on_a_few_screens():
    sizes = {path: len(tree.text(path).splitlines()) for path in PYTHON}
    assert {path: size for path, size in sizes.items() if size > LONGEST_FILE} == {}


def test_every_function_fits_on_one_screen():
    long = {
        (path, function.name): length(function)
        for path in PYTHON
        for function in functions(path)
        if length(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_a_docstring_does_not_count_as_code():
    source = '"""."""\ndef f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    (function,) = [
        one for one in ast.walk(ast.parse(source)) if isinstance(one, Function)
    ]
    assert length(function) == 2


def test_most_files_are_short():
    sizes = sorted(
        len(tree.text(path).splitlines()) for path in tree.modules(*tree.ROOMS)
    )
    assert sizes[len(sizes) // 2] <= 130
