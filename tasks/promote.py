"""``model.promote`` and ``model.rollback``: who is champion changes by audited jobs."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from db.session import Connection
from tasks import champions
from tasks.catalog import Params, job_type
from tasks.champions import Wish
from tasks.context import JobContext, Outcome
from tasks.errors import InvalidData
from tasks.gate import Rules
from tasks.registry import ENTRY_NAME, artifact, load

EntryName = Annotated[str, StringConstraints(pattern=ENTRY_NAME)]
Reason = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Promotion(Params):
    """Which version is to become the champion, and on what terms."""

    version: Number = Field(description="The version that is to become the champion.")
    expected: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="The champion it is to replace; 0 for none. By default whichever "
        "it is.",
    )
    force: bool = Field(
        default=False, description="Promote it whatever the gate says; needs a reason."
    )
    reason: Reason = Field(default="", description="Why; kept in the history.")
    refusal: Literal["tell", "fail"] = Field(
        default="tell",
        description="Whether a refusal by the gate is a result, or fails the job.",
    )
    rules: Rules = Field(default_factory=Rules)

    @model_validator(mode="after")
    def _force_has_a_reason(self) -> "Promotion":
        if self.force and not self.reason:
            message = "force needs a reason"
            raise ValueError(message)
        return self


class PromoteParams(Promotion):
    """The same, of which entry."""

    name: EntryName = Field(description="The entry.")


class Rollback(Params):
    """Which champion is to step down."""

    expected: Number | None = Field(
        default=None,
        description="The champion that is to step down. By default whichever it is.",
    )
    reason: Reason = Field(default="", description="Why; kept in the history.")


class RollbackParams(Rollback):
    """The same, of which entry."""

    name: EntryName = Field(description="The entry.")


@job_type("model.promote", params=PromoteParams, queue="system")
def model_promote(params: PromoteParams, context: JobContext) -> Outcome:
    """Make a trained version the champion, if the gate lets it."""
    # A champion that cannot be read would fail every forecast that asks for it.
    load(context, params.name, params.version, field="/params/version")

    def store(connection: Connection) -> Mapping[str, Any]:
        told = champions.promote(
            connection,
            tenant_id=context.tenant_id,
            wish=_wish(params, context),
            number=params.version,
            rules=params.rules,
            force=params.force,
        )
        if told["refused"] and params.refusal == "fail":
            faults = (one for one in told["gate"]["checks"] if not one["passed"])
            details = "; ".join(one["detail"] for one in faults)
            raise InvalidData(f"the gate refuses version {params.version}: {details}")
        return told

    return Outcome({}, store)


@job_type("model.rollback", params=RollbackParams, queue="system")
def model_rollback(params: RollbackParams, context: JobContext) -> Outcome:
    """Make the champion before this one the champion again."""
    with context.read() as connection:
        earlier = champions.earlier(
            connection, tenant_id=context.tenant_id, name=params.name
        )
    if earlier is not None:
        artifact(context.artifact_store, earlier, field="/params/name")

    def store(connection: Connection) -> Mapping[str, Any]:
        return champions.roll_back(
            connection, tenant_id=context.tenant_id, wish=_wish(params, context)
        )

    return Outcome({}, store)


def _wish(params: PromoteParams | RollbackParams, context: JobContext) -> Wish:
    return Wish(
        name=params.name,
        job_id=context.job_id,
        reason=params.reason,
        expected=params.expected,
    )
