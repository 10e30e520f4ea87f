"""Bodies and answers of the credential calls; no answer has room for a secret."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from web.schemas.jobs import Body

NAME = r"^[a-z0-9][a-z0-9._-]{0,79}$"
CredentialName = Annotated[str, StringConstraints(pattern=NAME)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=16_384)]


class PutCredential(Body):
    """The secrets of a credential by their names; all of them, each time."""

    secrets: dict[FieldName, Secret] = Field(
        min_length=1,
        max_length=20,
        description="What a connector needs is at /v1/connectors; never shown again.",
        examples=[{"api_key": "..."}],
    )


class CredentialOut(BaseModel):
    """A credential: the names of its secrets, never one of them."""

    name: str
    fields: list[str]
    created_at: str
    updated_at: str
    links: dict[str, str]


class CredentialList(BaseModel):
    """A page of credentials, by name."""

    items: list[CredentialOut]
    next_cursor: str | None
