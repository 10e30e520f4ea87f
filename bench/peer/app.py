"""Flask in front of Celery on RabbitMQ, results in Redis: all in one file.

Publisher confirms and late acknowledgement are on, as careful people have them; the
rest is what Celery and Flask do by themselves. A job lives in the broker alone.
"""

import os
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as NotYet
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

celery = Celery(
    "peer",
    broker=os.environ["PEER_BROKER_URL"],
    backend=os.environ["PEER_RESULT_URL"],
)
celery.conf.update(
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
)
app = Flask(__name__)


@celery.task(name="echo")
def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload as it came."""
    return {"payload": payload}


@app.post("/jobs")
def submit() -> ResponseReturnValue:
    """Send the task; the broker has confirmed it when this answers."""
    task = echo.delay(request.get_json()["payload"])
    return jsonify(id=task.id), 202


@app.get("/jobs/<job_id>")
def get(job_id: str) -> ResponseReturnValue:
    """Give the result, waiting for it up to ``wait`` seconds."""
    found = celery.AsyncResult(job_id)
    try:
        result = found.get(timeout=request.args.get("wait", 0.0, float))
    except NotYet:
        return jsonify(id=job_id, state=found.state), 202
    return jsonify(id=job_id, state="SUCCESS", result=result)
