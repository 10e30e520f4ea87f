"""What a source says of itself in words: slow down, who are you, come back later."""

import re
from typing import Literal

Said = Literal["rate_limited", "auth", "transient"]

_PATIENCE = (
    r"rate.?limit|too many (\w+ )?(requests|calls)|\bthrottl|\bquota\b"
    r"|(requests?|calls?|usage) limit|slow down"
)
_KEY = (
    r"api.?key|un.?authori[sz]ed|not authori[sz]ed|authori[sz]ation"
    r"|authenticat|access.?denied|forbidden|\bcredentials?\b"
    r"|(invalid|missing|expired)( \w+)? token"
    r"|token( \w+){0,3} (invalid|missing|expired|required)"
)
_AWAY = (
    r"internal (server )?error|temporar|try again|time[d -]{0,2}out"
    r"|unavailable|overload|maintenance|right back|bad gateway|upstream"
)
_SAYINGS: tuple[tuple[re.Pattern[str], Said], ...] = (
    (re.compile(_PATIENCE, re.IGNORECASE), "rate_limited"),
    (re.compile(_KEY, re.IGNORECASE), "auth"),
    (re.compile(_AWAY, re.IGNORECASE), "transient"),
)


def said(text: str) -> Said | None:
    """Return what a sentence of a source means, or None if no word tells.

    Example:
        >>> said("API rate limit exceeded"), said("Invalid API Key"), said("no such id")
        ('rate_limited', 'auth', None)
    """
    return next((cls for pattern, cls in _SAYINGS if pattern.search(text)), None)
