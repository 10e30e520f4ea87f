"""In which charset the text of an answer is written, as far as its source says."""

import codecs
import re
from email.message import Message

from ingest.exchange import Answer

_CHARSET = re.compile(
    r"iso8859-\d+|cp\d+|utf-(16|32)(-[bl]e)?|koi8-[rtu]|mac-\w+|shift_jis\w*|"
    r"euc_\w+|gb\w+|big5\w*"
)
"""Charsets of text; Python knows many more encodings, which are none."""


def charset(answer: Answer) -> str | None:
    """Return the charset an answer declares, or None for UTF-8 and unknown ones."""
    message = Message()
    message["content-type"] = answer.headers.get("content-type", "")
    try:
        name = codecs.lookup(str(message.get_param("charset", "utf-8"))).name
    except (LookupError, ValueError):
        return None
    return name if _CHARSET.fullmatch(name) else None
