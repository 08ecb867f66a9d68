"""An application to an affiliate programme as JSON Schema."""

from __future__ import annotations

from participants.models import Application
from referrals.api.schema import Schema, array, instant, record, text

SHOWN = (Application.WAITING, Application.APPROVED, Application.DECLINED)
APPLICATION: Schema = record(
    {
        "id": text("Its id.", "apl_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "campaign": text("The campaign.", "JCu82f30F1"),
        "status": text("Where it stands.", "waiting", enum=SHOWN),
        "email": text("The applicant's address, confirmed by mail.", "nora@example.com"),
        "first_name": text("First name.", "Nora"),
        "last_name": text("Last name.", "Dahl"),
        "answers": array(
            record(
                {
                    "question": text("What was asked.", "Where will you share your link?"),
                    "kind": text("How it is answered.", "choice", enum=["short", "long", "choice", "url"]),
                    "answer": text("What was said; empty where it was left out.", "A blog"),
                }
            ),
            "The questions as they were then, and what was said.",
        ),
        "confirmed_at": instant("When the applicant sent it.", null=True),
        "decided_at": instant("When it was decided; null while it waits.", None, null=True),
        "reason": text("What the applicant was told.", ""),
        "participant": text("Who they are since they were approved.", None, null=True),
    },
    about="Somebody's wish to take part in a programme of the affiliate hub.",
)
