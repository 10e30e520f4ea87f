"""What was known when: which versions of a stored series a cutoff may read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from db.issues import Told
    from db.observations import Then
    from forecasting.vintages import Vintages
    from tasks.context import JobContext
    from tasks.inputs import Input

ALWAYS = "1678-01-01"
"""An issue time before all cutoffs: such a row was always known."""


def vintages_of(
    item: "Input", context: "JobContext", *, then: "Then"
) -> "Vintages | None":
    """Return every version of a series; None if it is not stored."""
    if item.series_id is None:
        return None
    from db import issues
    from forecasting.vintages import Vintages

    with context.read() as connection:
        told = issues.told(connection, series_id=item.series_id, **then)
    kept = ever_newest(told.times, told.known)
    return Vintages(
        times=told.times[kept], known=told.known[kept], values=told.values[kept]
    )


def readable_since(
    told: "Told", *, strict: bool
) -> tuple["NDArray[np.datetime64]", int]:
    """Return since when each row may be read, and of how many that is not known.

    No row may be read before it was issued. Unless strictly, the first version of a
    value that came after its own time, from a source that does not say when it was
    published, was known since its issue; if it is no forecast, that is not known, and
    it counts as always known.
    """
    import numpy as np

    issue = ~np.isnat(told.issued)
    since = told.known.copy()
    since[issue] = np.maximum(since[issue], told.issued[issue])
    if strict:
        return since, 0
    first = np.ones(told.times.shape, dtype=bool)
    first[1:] = told.times[1:] != told.times[:-1]
    first[1:] |= issue[1:] & (told.issued[1:] != told.issued[:-1])
    late = first & ~told.dated & (told.known > told.times)
    since[late & issue] = told.issued[late & issue]
    since[late & ~issue] = np.datetime64(ALWAYS, "us")
    return since, int((late & ~issue).sum())


def ever_newest(
    times: "NDArray[np.datetime64]", since: "NDArray[np.datetime64]"
) -> "NDArray[np.bool_]":
    """Tell which rows are the newest of their time at any instant at all.

    Rows of one time give way to each other in their order. One that was known no sooner
    than a row after it never counts: an old issue that came late says nothing new.

    Args:
        times: what each row is of, shape (n,), ascending.
        since: since when it was known, shape (n,).

    Returns:
        Shape (n,); of the rows of one time those that are left ascend in ``since``.
    """
    import numpy as np

    _, rank = np.unique(since, return_inverse=True)
    group = np.zeros(times.size, dtype=np.int64)
    group[1:] = np.cumsum(times[1:] != times[:-1])
    # Groups lie so far apart that the least of what follows is of the same group.
    place = group * (rank.size + 1) + rank
    least = np.minimum.accumulate(place[::-1])[::-1]
    newest = np.ones(times.shape, dtype=bool)
    newest[:-1] = place[:-1] < least[1:]
    return newest
