"""A Singer tap over the truth, as a program of its own; and what a bad one does."""

import json
import sys
import time
from pathlib import Path


def command() -> list[str]:
    """Return what starts the tap."""
    return [sys.executable, "-S", str(Path(__file__))]


def say(**message) -> None:
    print(json.dumps(message))


def main() -> int:
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    config = json.loads(Path(given["--config"]).read_text(encoding="utf-8"))
    if config.get("api_key") != "a-fake-key-of-a-tap":
        print(f"401 for the key {config.get('api_key')}", file=sys.stderr)
        return 1
    if config.get("hangs"):
        time.sleep(60)
    while config.get("floods"):
        print("INFO: " + "x" * 60_000)
    say(type="SCHEMA", stream="load", schema={}, key_properties=["zone", "ts"])
    for row in json.loads(Path(config["rows"]).read_text(encoding="utf-8")):
        if config["start_date"] <= row["ts"] < config.get("end_date", "9"):
            say(type="RECORD", stream="load", record=row)
            say(type="RECORD", stream="other", record=row)
    if config.get("batches"):
        say(type="BATCH", stream=config["batches"], manifest=["file:///rows.gz"])
    if config.get("babbles"):
        print("INFO: nearly done")
    say(type="STATE", value={"load": True})
    return 0


if __name__ == "__main__":
    sys.exit(main())
