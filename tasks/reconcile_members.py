"""Which series a group means, which of them is believed, and where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db import reconciliations, series
from db.session import Connection
from tasks.inputs import TagSelection
from tasks.reconcile_params import Group

if TYPE_CHECKING:
    from db.series import Series


class Unfit(Exception):
    """A group, or one of its series, that cannot be compared."""


@dataclass(frozen=True)
class Members:
    """The series of a group: the preferred one, and those held against it."""

    preferred: "Series"
    others: "Sequence[Series]"
    sources: Mapping[int, str]


def members(group: Group, connection: Connection, *, tenant_id: int) -> Members:
    """Return the series of a group.

    Raises:
        Unfit: there are fewer than two, or it is not clear which is preferred.
    """
    if isinstance(group.series, TagSelection):
        tag = group.series.tag
        found = series.with_tag(connection, tenant_id=tenant_id, tag=tag)
        if len(found) < 2:  # noqa: PLR2004 - one alone says nothing of another
            raise Unfit(f"{len(found)} series carry the tag {tag!r}: two are needed")
    else:
        keys = list(dict.fromkeys(group.series))
        known = series.find_many(connection, tenant_id=tenant_id, keys=keys)
        if missing := [key for key in keys if key not in known]:
            raise Unfit(f"there is no series {missing[0]}")
        found = [known[key] for key in keys]
    sources = reconciliations.sources_of(
        connection, tenant_id=tenant_id, series_ids=[one.id for one in found]
    )
    preferred = _preferred(group, found, sources)
    others = [one for one in found if one.id != preferred.id]
    if not others:
        raise Unfit("two different series are needed")
    return Members(preferred, others, sources)


def _preferred(
    group: Group, found: "Sequence[Series]", sources: Mapping[int, str]
) -> "Series":
    if group.preferred is None:
        return found[0]
    by_key = [one for one in found if one.key == group.preferred]
    by_source = [one for one in found if sources.get(one.id) == group.preferred]
    wanted = by_key or by_source
    if len(wanted) != 1:
        raise Unfit(
            f"{group.preferred!r} is neither the key of one of the series nor the "
            "source of exactly one"
        )
    return wanted[0]
