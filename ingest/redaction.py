"""Takes secrets out of whatever comes back, in every form a source may echo them.

A key comes back as it was sent, percent-encoded in an address, escaped in JSON or in
HTML, or inside the Base64 of a log-in. One pattern per secret stands for all of these,
character by character, so that an echo that encodes more or less than usual is found
too.
"""

import base64
import html
import itertools
import re
import string
from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Characters below which a secret is left where it is: it would be found in any data,
and taking it out would damage them."""

_SHORTEST_BASE64 = 6  # shorter ones turn up by chance in a file of gigabytes
_PLAIN = frozenset((string.ascii_letters + string.digits).encode())
_ESCAPES = {"\n": b"n", "\r": b"r", "\t": b"t", "\b": b"b", "\f": b"f"}
_MASKS = "*#~_=^+-"
_MOST_ZEROS = 4  # in a reference to a character by number


class Redactor:
    """Replaces secrets; makes no difference where none is."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len)
        known.reverse()  # of two that begin alike the longer one is taken
        cores = sorted({core for one in known for core in _cores(one)}, key=len)
        forms = [_form(one) for one in known] + [re.escape(one) for one in cores[::-1]]
        self._pattern = re.compile(b"|".join(forms)) if forms else None
        self._needles = [*(_needle(one) for one in known), *cores]
        self._reach = max(
            [*(_longest(one) for one in known), *(len(one) for one in cores)], default=1
        )
        text = "".join(known) + b"".join(cores).decode()
        # A mask that no secret holds, or the mask beside other text could spell one.
        self._mask = 3 * next((one for one in _MASKS if one not in text), "\0").encode()

    def stream(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a body without secrets, also those that lie across two chunks."""
        if self._pattern is None:
            yield from chunks
            return
        held = b""
        for chunk in chunks:
            held += chunk
            done, held = self._passed(held, len(held) - self._reach + 1)
            if done:
                yield done
        yield self._passed(held, len(held))[0]

    def content(self, content: bytes) -> bytes:
        """Return bytes without secrets."""
        return self._passed(content, len(content))[0]

    def text(self, text: str) -> str:
        """Return text without secrets."""
        raw = text.encode(errors="surrogatepass")
        safe = self.content(raw)
        return text if safe == raw else safe.decode(errors="replace")

    def header(self, value: str) -> str:
        """Return the value of a header, whose characters stand for bytes."""
        raw = value.encode("latin-1", errors="replace")
        safe = self.content(raw)
        return value if safe == raw else safe.decode("latin-1")

    def holds(self, text: str) -> bool:
        """Return whether there is a secret in a text."""
        return self.text(text) != text

    def _passed(self, window: bytes, edge: int) -> tuple[bytes, bytes]:
        """Replace what begins before the edge, and return the rest as it is."""
        if edge <= 0:
            return b"", window
        if self._pattern is None or not any(one in window for one in self._needles):
            return window[:edge], window[edge:]
        done, at = [], 0
        for found in self._pattern.finditer(window):
            if found.start() >= edge:
                break
            done += [window[at : found.start()], self._mask]
            at = found.end()
        stop = max(at, edge)
        return b"".join([*done, window[at:stop]]), window[stop:]


def _form(secret: str) -> bytes:
    """Return a pattern of a secret in any of its encodings."""
    runs = ((one, len(list(run))) for one, run in itertools.groupby(secret))
    return b"".join(_run(one, count) for one, count in runs)


def _run(one: str, count: int) -> bytes:
    """Return a pattern of a character, plain or encoded, some times in a row."""
    if one.isascii() and ord(one) in _PLAIN:
        return one.encode() * count
    found = b"(?:" + b"|".join(_spellings(one)) + b"){%d}" % count
    if one != "\\":
        return found
    # As one number of backslashes, or a long row of them could be read in more ways
    # than there is time to try.
    return rb"(?:\\{%d,%d}|%s)" % (count, 4 * count, found)


def _spellings(one: str) -> list[bytes]:
    """Return patterns of the ways in which a character that needs care is written.

    Up to three backslashes stand before what was escaped once, or twice because JSON
    lies in JSON.
    """
    number = ord(one)
    utf16 = one.encode("utf-16-be", errors="surrogatepass").hex()
    units = [utf16[at : at + 4] for at in range(0, len(utf16), 4)]
    octets = one.encode(errors="surrogatepass")
    found = [
        b"".join(rb"\\{1,3}u(?i:%s)" % unit.encode() for unit in units),
        b"".join(rb"%%(?:25)?(?i:%02x)" % octet for octet in octets),
        rb"&#0{0,%d}%d;" % (_MOST_ZEROS, number),
        rb"&#[xX]0{0,%d}(?i:%x);" % (_MOST_ZEROS, number),
    ]
    if one != "\\":
        found.append(rb"\\{0,3}" + re.escape(octets))
    if one in _ESCAPES:
        found.append(rb"\\{1,3}" + _ESCAPES[one])
    if one == " ":
        found.append(rb"\+")
    named = html.escape(one)
    if named != one:
        # Before the plain one, which is how an ampersand's name begins.
        found.insert(0, re.escape(named.encode()))
    if not one.isascii() and number < 256:  # noqa: PLR2004 - Latin-1, as in headers
        found.append(re.escape(one.encode("latin-1")))
    return found


def _longest(secret: str) -> int:
    """Return a bound of the bytes of a secret in its longest encoding."""
    return sum(1 if ord(one) in _PLAIN else 40 for one in secret)


def _needle(secret: str) -> bytes:
    """Return the longest part that all encodings leave alone; it may be empty.

    Whether it is there can be told at the speed of memory, so that data without a
    secret, which is nearly all, pays next to nothing.
    """
    runs = re.findall(r"[A-Za-z0-9]+", secret)
    return max(runs, key=len, default="").encode()


def _cores(secret: str) -> Iterator[bytes]:
    """Yield what the Base64 of any text with this secret in it must hold.

    Base64 groups three bytes, so there is one form for each place where the secret may
    begin in a group, without the characters that its neighbours decide too.
    """
    raw = secret.encode(errors="surrogatepass")
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        core = coded[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6]
        if len(core) >= _SHORTEST_BASE64:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
