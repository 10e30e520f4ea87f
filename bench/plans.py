"""The words after a bench's name: an option for each number of its plan."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = TypeVar("P", bound="DataclassInstance")


@dataclass(frozen=True)
class Asked(Generic[P]):
    """What was asked for.

    Attributes:
        plan: how much is done.
        json: whether to print JSON instead of a table.
        more: the other options of the bench by their names.
    """

    plan: P
    json: bool
    more: Mapping[str, Any]


def asked(
    plan: type[P],
    words: Sequence[str],
    *,
    name: str,
    about: str | None,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Asked[P]:
    """Read the words; one that nobody knows ends the process with what there is.

    Args:
        plan: dataclass of numbers and words, each with a default of its type.
        words: after the bench's name.
        name: of the bench's module.
        about: what the bench does, for ``--help``.
        more: other options by their names, with what ``add_argument`` takes.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about)
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    for option, how in (more or {}).items():
        parser.add_argument(_option(option), **how)
    defaults = {field.name: field.default for field in fields(plan)}
    for option, default in defaults.items():
        parser.add_argument(_option(option), type=type(default), default=default)
    found = vars(parser.parse_args(words))
    numbers = {option: found.pop(option) for option in defaults}
    return Asked(plan(**numbers), found.pop("json"), found)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
