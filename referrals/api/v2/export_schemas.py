"""JSON Schema of exports."""

from __future__ import annotations

from referrals.api.schema import Schema, instant, record, text, whole
from rewards import transfers
from rewards.models import Transfer

EXPORT: Schema = record(
    {
        "id": text("Its id.", "xp_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "list": text("Which list.", "participants", enum=list(transfers.LISTS)),
        "filter": {"type": "object", "additionalProperties": {"type": "string"}, "description": "The filter that it was made with."},
        "status": text("How far it is.", "done", enum=[name for name, _label in Transfer.STATES]),
        "rows": whole("How many rows the file has.", 1204),
        "size": whole("How many bytes.", 240112),
        "error": text("Why it failed.", None, null=True),
        "url": text(
            "Where the file is; anybody who has the address can fetch it, for an hour. Ask again for another one.",
            "http://localhost:8000/api/v2/exports/xp_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3/file?token=1wM2s8:kq0", null=True,
        ),
        "created_at": instant("When it was ordered."),
        "finished_at": instant("When it was ready, or failed.", null=True),
        "expires_at": instant("Until when the file is kept."),
    },
    about="A list as a file.",
)  # fmt: skip
