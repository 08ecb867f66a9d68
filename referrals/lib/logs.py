"""One JSON object a line, with the request's id and without anything personal."""

from __future__ import annotations

import json
import logging

from referrals.lib.requests import request_id


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, request id and traceback as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if rid := request_id.get():
            entry["request_id"] = rid
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
