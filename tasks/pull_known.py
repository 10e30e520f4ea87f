"""What is known of a partition from an earlier read, to ask only for what is newer."""

from dataclasses import replace
from typing import TYPE_CHECKING

from db import raw_fetches
from tasks import raw
from tasks.context import JobContext
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition

_MOST_SEEN = 5_000
"""Files of a folder whose last state is kept with a partition: the newest ones."""


def known(one: Opened, partition: "Partition", context: JobContext) -> "Partition":
    """Return a partition that names the answer whose rows are stored, if there is one.

    A source whose settings changed since is read anew: rows may be called otherwise.
    """
    from ingest.conditions import Conditional, conditioned

    if not isinstance(one.connector, Conditional):
        return partition
    plain = conditioned(partition, {})
    request = one.connector.conditional(plain)
    if request is None:
        return partition
    with context.read() as connection:
        headers = raw_fetches.loaded_headers(
            connection,
            tenant_id=context.tenant_id,
            source_id=one.source.id,
            asked=(request.url, request.params),
            since=one.source.updated_at,
        )
    return conditioned(partition, headers or {})


def seen(one: Opened, partition: "Partition", context: JobContext) -> "Partition":
    """Return a partition that knows how the files of a folder were at the last look.

    A folder whose files count as whole once they no longer change needs to know.
    """
    from ingest.object_files import listed_folder
    from ingest.verdicts import Verdict

    listing, *more = one.connector.requests(partition)
    if one.source.config.get("ready") != "twice" or more:
        return partition
    with context.read() as connection:
        last = raw_fetches.latest(
            connection,
            tenant_id=context.tenant_id,
            source_id=one.source.id,
            fingerprint=listing.fingerprint,
            before_job=context.job_id,
        )
    if last is None or not raw.store(context).holds(last.sha256):
        return partition
    files = listed_folder(raw.answer(last, raw.store(context)))
    if isinstance(files, Verdict):
        return partition
    newest = sorted(files, key=lambda file: str(file.modified))[-_MOST_SEEN:]
    states = {
        file.name: [file.size, file.modified.isoformat() if file.modified else None]
        for file in newest
    }
    return replace(partition, part={**partition.part, "seen": states})
