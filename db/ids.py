"""Identifiers: a prefix that names the thing and a UUIDv7, so ids sort by age."""

from uuid_utils import uuid7


def new_id(prefix: str) -> str:
    """Return a new identifier such as ``job_0199…``."""
    return f"{prefix}_{uuid7().hex}"
