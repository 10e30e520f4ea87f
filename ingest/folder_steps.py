"""Reading a folder step by step: its list, what vouches for a file, then the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from ingest.contract import Config, Page, Partition, SecretField
from ingest.exchange import Answer, Request
from ingest.object_files import (
    Entry,
    is_marker,
    is_safe,
    listed_folder,
    passed_over,
    stale,
    told_digest,
    unfinished,
    unvouched,
)
from ingest.verdicts import Verdict, general, markup

Ready = Literal["quiet", "marker", "checksum", "twice"]

_DONE = (".done", ".ok", ".ready")


SFTP_SECRETS = (
    SecretField("user", "User", required=False),
    SecretField("password", "Password", required=False),
    SecretField("private_key", "Private key (OpenSSH)", required=False),
    SecretField("passphrase", "Passphrase of the private key", required=False),
    SecretField("host_key", "Host key or its SHA256 fingerprint", required=False),
)


@dataclass(frozen=True)
class Folder:
    """A folder that files are dropped into.

    Attributes:
        url: its address, of file or sftp.
        mine: whether a file belongs to a partition.
        depth: how many levels of folders are looked at.
        ready: when a file counts as whole: its age, a marker beside it, a checksum
            beside it, or the same size and age as when the partition was last looked
            at, which ``Partition.part["seen"]`` has to hold as {name: [size, mtime]}.
        quiet: how old a file has to be, for ready "quiet".
    """

    url: str
    mine: Callable[[Entry, Partition], bool]
    depth: int = 1
    ready: Ready = "quiet"
    quiet: timedelta = timedelta(minutes=1)

    @property
    def listing(self) -> Request:
        """What lists the folder."""
        params = (("depth", str(self.depth)),) if self.depth > 1 else ()
        return Request(f"{self.url.rstrip('/')}/", params, place={"step": "list"})

    def guarded(
        self, request: Request, answer: Answer, partition: Partition
    ) -> Page | None:
        """Return the page of all that is no good file; None where one can be parsed."""
        step = request.place.get("step", "list")
        if step == "file":
            if unfinished(str(request.place.get("name", request.url))):
                return Page(Verdict("ignored", "the file is still being written"))
            if (found := stale(request, answer)) is not None:
                return Page(found)
        if (found := general(answer) or markup(answer)) is not None:
            return Page(found)
        if step == "list":
            return self._listed(answer, partition)
        if step == "checksum":
            return self._vouched(request, answer)
        bad = unvouched(request, answer)
        return None if bad is None else passed_over(bad)

    def _listed(self, answer: Answer, partition: Partition) -> Page:
        files = listed_folder(answer)
        if isinstance(files, Verdict):
            return Page(files)
        by_name = {entry.name: entry for entry in files if is_safe(entry.name)}
        mine = [
            entry
            for entry in by_name.values()
            if not unfinished(entry.name)
            and not is_marker(entry.name)
            and self.mine(entry, partition)
        ]
        ready = [e for e in mine if self._is_whole(e, by_name, answer, partition)]
        waiting = [entry.name for entry in mine if entry not in ready]
        detail = f"{len(ready)} files of {len(files)}"
        if waiting:
            detail += f"; not whole yet: {', '.join(waiting[:20])}"
        follow = tuple(self._next(entry, by_name) for entry in ready)
        return Page(Verdict("metadata" if mine else "empty", detail), follow=follow)

    def _is_whole(
        self,
        entry: Entry,
        beside: Mapping[str, Entry],
        answer: Answer,
        partition: Partition,
    ) -> bool:
        if not entry.size:
            return False
        if self.ready == "marker":
            stem = entry.name.rpartition(".")[0] or entry.name
            names = (f"{name}{end}" for name in (entry.name, stem) for end in _DONE)
            return any(name in beside for name in names)
        if self.ready == "checksum":
            return f"{entry.name}.sha256" in beside
        at = entry.modified
        if self.ready == "twice":
            state = [entry.size, None if at is None else at.isoformat()]
            return bool(partition.part.get("seen", {}).get(entry.name) == state)
        return at is not None and at + self.quiet <= answer.fetched_at

    def _next(self, entry: Entry, beside: Mapping[str, Entry]) -> Request:
        at = entry.modified
        place = {
            "step": "file",
            "name": entry.name,
            "size": entry.size,
            "modified": None if at is None else at.isoformat(),
            "identity": entry.identity,
        }
        marker = f"{entry.name}.sha256"
        if marker in beside:
            return Request(self._address(marker), place={**place, "step": "checksum"})
        return Request(self._address(entry.name), place=place)

    def _vouched(self, request: Request, answer: Answer) -> Page:
        told, name = told_digest(answer), str(request.place["name"])
        if told is None:
            detail = f"the checksum of {name} is no SHA-256"
            return passed_over(Verdict("malformed", detail))
        place = {**request.place, "step": "file", "sha256": told}
        return Page(
            Verdict("metadata", f"SHA-256 {told}"),
            follow=(Request(self._address(name), place=place),),
        )

    def _address(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{quote(name)}"


class FolderConfig(Config):
    """A folder, and when a file in it counts as whole."""

    base_url: str = Field(
        pattern=r"^(file|sftp)://[^\s?#]+$",
        description="The folder: file:///folder/ or sftp://host:port/folder/.",
    )
    depth: int = Field(
        default=1, ge=1, le=8, description="How many levels of folders to look at."
    )
    ready: Ready = Field(
        default="quiet",
        description="When a file is whole: nobody wrote to it for some time (quiet), "
        "a marker such as .done lies beside it (marker), a .sha256 does "
        "(checksum), or it has not changed since the last look (twice).",
    )
    quiet_s: int = Field(
        default=60, ge=0, le=86_400, description="For how long nobody wrote, for quiet."
    )
    host_key: str = Field(
        default="",
        max_length=2_000,
        description="Of an SFTP server, if the credential does not hold it: a line of "
        "OpenSSH, or a fingerprint that begins with SHA256:.",
    )

    def folder(self, mine: Callable[[Entry, Partition], bool]) -> Folder:
        """Return the folder, read for the files that ``mine`` picks."""
        quiet = timedelta(seconds=self.quiet_s)
        return Folder(self.base_url, mine, self.depth, self.ready, quiet)
