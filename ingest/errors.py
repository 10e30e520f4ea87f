"""Why a whole file or answer cannot be read; bad rows are no error, they are listed."""


class IngestError(Exception):
    """Nothing of the file can be used; the message is a sentence for its owner."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidLayout(IngestError):
    """What was declared about the file does not fit it, or does not fit together."""


class InvalidFile(IngestError):
    """The bytes are not what the format says: empty, cut off, wrong encoding."""
