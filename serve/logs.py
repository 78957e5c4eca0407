"""The log: one JSON object a line on standard output."""

from __future__ import annotations

import datetime
import json
import logging
import sys

from medexp.redact import redact

NAME = "serve"
FACTS = ("request_id", "method", "path", "status", "ms", "model_version", "run_id")


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        line |= {fact: getattr(record, fact) for fact in FACTS if getattr(record, fact, None) is not None}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def configure_logs() -> None:
    """Show records of the service and of uvicorn from INFO on, of others from WARNING on. Repeating is harmless."""
    root = logging.getLogger()
    for name in ("serve", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    if any(handler.get_name() == NAME for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.set_name(NAME)
    handler.setFormatter(_OneLine())
    root.addHandler(handler)
