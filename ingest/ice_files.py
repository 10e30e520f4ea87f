"""ICE's files: which shapes they have, and what else may come under status 200."""

import re

from ingest.exchange import Answer
from ingest.keys import number_slug
from ingest.settlements import KeyPart, Shape, month_slug
from ingest.verdicts import Verdict, general, markup

ZONE = "America/New_York"
_NOTICE = 65_536
_NONE = re.compile(rb"no\s+files?\s+available", re.IGNORECASE)
_LOG_IN = re.compile(rb"ice\s*sso|sso\s+client", re.IGNORECASE)
_BLOCK_S = 60.0

SHAPES = (
    Shape(
        ("ice",),
        "TRADE_DATE",
        ("SETTLEMENT_PRICE", "NET_CHANGE", "OPTION_VOLATILITY", "DELTA_FACTOR"),
        (
            # Codes of contracts are used again for other products.
            KeyPart("PRODUCT_ID", required=True),
            KeyPart("CONTRACT", required=True),
            KeyPart("CONTRACT_TYPE", required=True),
            KeyPart("STRIP", month_slug, required=True),
            KeyPart("STRIKE", number_slug),
        ),
        known=frozenset(
            {"HUB", "PRODUCT", "EXPIRATION_DATE", "GAMMA", "THETA", "VEGA", "RHO"}
        ),
    ),
    Shape(
        ("ice", "index"),
        "INDEX_DATE",
        ("INDEX_PRICE",),
        (
            KeyPart("INDEX_ID", required=True),
            KeyPart("PCC"),
            KeyPart("MKT_DESC", required=True),
        ),
        known=frozenset(
            {
                "INDEX_DATE_RANGE",
                "MKTID",
                "VOLUME",
                "CREATION_TIME",
                "LAST_UPDATE_TIME",
                "BBL",
                "DAILY_PRICE",
                "DAILY_VOLUME",
                "DAILY_BBL",
                "NUM_OF_TRADES",
            }
        ),
    ),
    Shape(
        ("ice", "deal"),
        "TRADE_DATE",
        ("DEAL_PRICE",),
        (KeyPart("DEAL_ID", required=True),),
        stored=False,
    ),
)


def ice_notice(answer: Answer) -> Verdict | None:
    """Return what an answer without data says; None for data.

    Data, "no such file" and "log in again" all come under 200; only the words of the
    page tell them apart.
    """
    if (found := general(answer)) is not None:
        if found.cls == "rate_limited" and found.wait_s is None:
            return Verdict(found.cls, found.detail, _BLOCK_S)
        return found
    with answer.open() as stream:
        head = stream.read(_NOTICE)
    if not head.strip():
        return Verdict("transient", "there is nothing in the body")
    page = markup(answer)
    return None if page is None else _page(head, page)


def _page(head: bytes, page: Verdict) -> Verdict:
    if _NONE.search(head):
        return Verdict("not_available", "no file for this day")
    if _LOG_IN.search(head):
        return Verdict("auth", "the log-in has run out")
    return page
