"""Files for ``ingest.run``: streamed to the artifacts folder, never into memory."""

import errno
import hashlib
import logging
import os
from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, request

from db import uploads
from db.ids import new_id
from tasks.errors import FieldError, InvalidParams
from web.acts import Once, marked
from web.door import door, identity
from web.errors import Malformed, problem
from web.openapi import answers
from web.representation import json_response
from web.requests import idempotency_key
from web.schemas.uploads import UploadOut

_log = logging.getLogger(__name__)

bp = APIBlueprint("uploads", __name__, url_prefix="/v1/uploads", tag="Uploads")

_PIECE_BYTES = 1 << 20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@bp.post("")
@bp.doc(responses=answers(201, "The file was received whole", UploadOut))
def upload() -> Response:
    """Take the body as a file; name it with ``?filename=``; returns its id."""
    here, who = door(), identity()
    idempotency_key()  # a bad one is refused before the body is read
    upload_id = new_id("upl")
    folder = here.settings.artifacts_path / "uploads" / str(who.tenant_id)
    path = folder / upload_id
    filename = request.args.get("filename", "upload")[:200]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        size, digest = _receive(path)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return _storage_full(error)
    call = Once.of([digest, filename])
    try:
        with here.database.tenant(who.tenant_id) as connection:
            known = call.recall(connection)
            if not known:
                uploads.create(
                    connection,
                    tenant_id=who.tenant_id,
                    upload_id=upload_id,
                    filename=filename,
                    content_type=request.mimetype or "application/octet-stream",
                    size=size,
                    sha256=digest,
                )
                call.remember(connection, upload_id)
    except BaseException:
        path.unlink()
        raise
    if known:
        path.unlink()
    answer = json_response(
        {
            "id": known or upload_id,
            "filename": filename,
            "bytes": size,
            "sha256": digest,
        },
        201,
    )
    return marked(answer, replayed=known is not None)


def _storage_full(error: OSError) -> Response:
    _log.error("no room for uploads: %s", error)
    answer = problem(
        507,
        "storage-full",
        "There is no room for the file",
        detail="nothing of the file was kept; try again when there is room",
    )
    answer.headers["Retry-After"] = "60"
    return answer


def _piece() -> bytes:
    try:
        return request.stream.read(_PIECE_BYTES)
    except OSError as error:
        raise Malformed("the body broke off before its end") from error


def _receive(path: Path) -> tuple[int, str]:
    """Write the body to a file that appears whole or not at all."""
    partial = path.with_suffix(".part")
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            while piece := _piece():
                size += len(piece)
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            detail = "the body is empty; send the file as the body"
            raise InvalidParams(detail, (FieldError("", detail),))
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return size, digest.hexdigest()
