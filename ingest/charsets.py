"""In which charset the text of an answer is written, as far as its source says."""

import codecs
import re
from email.message import Message
from typing import Any

from ingest.exchange import Answer

_CHARSET = re.compile(
    r"iso8859-\d+|cp\d+|utf-(16|32)(-[bl]e)?|koi8-[rtu]|mac-\w+|shift_jis\w*|"
    r"euc_\w+|gb\w+|big5\w*"
)
"""Charsets of text; Python knows many more encodings, which are none."""

_OF_ONE_BYTE = re.compile(r"iso8859|cp(125|437|8[56]|1006|1125)|koi8|mac-")


def charset(answer: Answer) -> str | None:
    """Return the charset an answer declares, or None for UTF-8 and unknown ones."""
    message = Message()
    message["content-type"] = answer.headers.get("content-type", "")
    try:
        name = codecs.lookup(str(message.get_param("charset", "utf-8"))).name
    except (LookupError, ValueError):
        return None
    return name if _CHARSET.fullmatch(name) else None


def charset_of_json(answer: Answer) -> str | None:
    r"""Return the charset of an answer's JSON, or None for UTF-8.

    JSON is UTF-8 by its standard, and servers have defaults that say otherwise. Letters
    of one byte hardly ever look like it; those of several do.

    Example:
        >>> from datetime import UTC, datetime
        >>> latin = {"content-type": "application/json; charset=iso-8859-1"}
        >>> def said(body): return Answer(200, latin, datetime.now(UTC), body)
        >>> charset_of_json(said(b"\xe9")), charset_of_json(said(b"\xc3\xa9"))
        ('iso8859-1', None)
    """
    name = charset(answer)
    if name is not None and _OF_ONE_BYTE.match(name):
        try:
            answer.body.decode()
        except UnicodeDecodeError:
            return name
        return None
    return name


def whole_letters(found: Any) -> Any:
    r"""Return decoded JSON in which half characters, which it can write, are marks.

    No other text format can hold them.

    Example:
        >>> whole_letters({"a": ["\ud800b", 1]})
        {'a': ['?b', 1]}
    """
    if isinstance(found, str):
        return found.encode(errors="replace").decode()
    if isinstance(found, list):
        return [whole_letters(one) for one in found]
    if isinstance(found, dict):
        return {whole_letters(name): whole_letters(one) for name, one in found.items()}
    return found
