"""Who of an e-mail's receivers is still to get it: kept in the body of its delivery.

A server answers for each receiver: it takes the message, or not now, or never. Who
has it is not sent it again, and who is refused for good is said once all others have
theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from workers.addresses import NotSent

_PERMANENT = 5  # a class of replies: the same again would be answered the same


class Later(NotSent):
    """Some receivers are to be asked again; ``body`` says which."""

    def __init__(self, said: str, body: str) -> None:
        super().__init__(said)
        self.body = body


@dataclass(frozen=True)
class Receivers:
    """The text of a delivery, and who is left.

    Attributes:
        told: the text as it is sent.
        left: who has not got it.
        refused: who never will; ``code`` and ``said`` are a reply to one of them.
    """

    told: Mapping[str, Any]
    left: Sequence[str]
    refused: Sequence[str] = ()
    code: int = 0
    said: str = ""

    @classmethod
    def of(cls, body: str, to: Sequence[str]) -> "Receivers":
        """Read what was sent before; who is no receiver any more is left out."""
        told = orjson.loads(body)
        left = told.pop("left", to)
        refused = told.pop("refused", {})
        return cls(told, [one for one in left if one in to], **refused)

    def after(self, replies: Mapping[str, tuple[int, str]]) -> "Receivers":
        """Return who is left when a server took it for all but these.

        Args:
            replies: what it answered to the others, a code and words.
        """
        later = [one for one, reply in replies.items() if not _for_good(reply)]
        never = [one for one, reply in replies.items() if _for_good(reply)]
        found = replace(self, left=later, refused=[*self.refused, *never])
        if not never:
            return found
        code, said = replies[never[0]]
        return replace(found, code=code, said=said)

    @property
    def body(self) -> str:
        """The text with who is left; in the end those that were refused are."""
        if not self.left and not self.refused:
            return orjson.dumps(dict(self.told)).decode()
        kept = {**self.told, "left": list(self.left or self.refused)}
        if self.left and self.refused:
            refused = {"refused": list(self.refused), "code": self.code}
            kept["refused"] = {**refused, "said": self.said}
        return orjson.dumps(kept).decode()


def _for_good(reply: tuple[int, str]) -> bool:
    return reply[0] // 100 == _PERMANENT
