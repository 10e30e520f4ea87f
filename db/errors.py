"""What the database tells its callers by name."""


class Fenced(Exception):
    """The attempt is no longer the one that may write: nothing was written."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(job_id, attempt)
        self.job_id = job_id
        self.attempt = attempt

    def __str__(self) -> str:
        return f"attempt {self.attempt} of {self.job_id} was fenced off"


class KeyReused(Exception):
    """The idempotency key was used before, with another body."""


class KeyInFlight(Exception):
    """The first request with this idempotency key has not ended yet."""
