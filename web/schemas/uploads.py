"""What the upload call answers."""

from pydantic import BaseModel


class UploadOut(BaseModel):
    """A file that was received whole; name its id in the params of ``ingest.run``."""

    id: str
    filename: str
    bytes: int
    sha256: str
