"""Series keys of whole columns: each distinct text is looked at once."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from ingest.contract import local_key

_SEPARATOR = pa.scalar(".")


@lru_cache(maxsize=1 << 16)
def slug(text: str) -> str | None:
    """Return one part of a key, or None where nothing of the text can be in a key.

    Letters lose their accents; ``local_key`` does the rest, so dots, which part a key,
    become dashes.

    Example:
        >>> slug("Île-de-France"), slug("Hub 7.a"), slug("--")
        ('ile-de-france', 'hub-7-a', None)
    """
    plain = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return local_key(bare) or None


@lru_cache(maxsize=1 << 16)
def number_slug(text: str) -> str | None:
    """Return a number as one part of a key, the same however many zeros it has.

    Example:
        >>> number_slug("30.0000"), number_slug("-2.50"), number_slug(".5")
        ('30', 'm2-5', '0-5')
    """
    found = re.fullmatch(r"\s*([+-]?)0*(\d*)(?:\.(\d*?)0*)?\s*", text)
    if found is None or not (found[2] or found[3] or "0" in text):
        return slug(text)
    sign = "m" if found[1] == "-" and (found[2] or found[3]) else ""
    fraction = f"-{found[3]}" if found[3] else ""
    return f"{sign}{found[2] or '0'}{fraction}"


def part(column: pa.Array, say: Callable[[str], str | None] = slug) -> pa.StringArray:
    """Return a column as one part of keys, null where it adds nothing."""
    encoded = column.cast(pa.string()).dictionary_encode()
    said = [
        None if text is None else say(text) for text in encoded.dictionary.to_pylist()
    ]
    return pa.array(said, pa.string()).take(encoded.indices)


def joined(parts: Sequence[pa.StringArray | str]) -> pa.StringArray:
    """Return keys of parts, of which one at least is a column; nulls are left out.

    Example:
        >>> joined([pa.array(["a", None]), pa.array(["b", None])]).to_pylist()
        ['a.b', '']
    """
    # Arrow leaves out rows whose parts are all null, so each one begins with a text.
    keys = pc.binary_join_element_wise(
        pa.scalar(""),
        *(pa.scalar(one) if isinstance(one, str) else one for one in parts),
        _SEPARATOR,
        null_handling="skip",
    )
    return pc.utf8_slice_codeunits(keys, 1)
