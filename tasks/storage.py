"""Which store the settings name for the artifacts of trained versions."""

from importlib.util import find_spec

from tasks.artifacts import ArtifactStore, FileStore
from tasks.artifacts_s3 import Bucket, BucketStore
from tasks.settings import InvalidSettings, Settings


def opened(settings: Settings, *, tenant_id: int) -> ArtifactStore:
    """Return the store of one tenant; nothing is asked of it yet.

    Raises:
        InvalidSettings: the settings name S3 and the extra ``s3`` is not installed.
    """
    if not settings.artifact_store:
        return FileStore(settings.artifacts_path / "models" / str(tenant_id))
    if find_spec("obstore") is None:
        raise InvalidSettings("FOREBAY_ARTIFACT_STORE needs the extra s3, see ADR 18")
    bucket, _, prefix = settings.artifact_store.removeprefix("s3://").partition("/")
    return BucketStore(
        Bucket(
            name=bucket,
            prefix=f"{prefix}/{tenant_id}".strip("/"),
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
        )
    )
