"""Payouts, their tries, batches and ways of paying as JSON Schema."""

from __future__ import annotations

from referrals.api.schema import Schema, array, boolean, instant, record, ref, text, whole
from rewards.models import SIDES, Payout, PayoutReturn

PO = "po_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
PB = "pb_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
PT = "pt_7Kd2Ps9Bv4Xq6Mz1Ht8Wc5"
RW = "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
CON = "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
_STATUSES = [name for name, _words in Payout.STATUSES]
_PAYOUT = {
    "id": text("The payout.", PO),
    "batch": text("Made together with others.", PB),
    "participant": {
        "anyOf": [text("Who gets it.", PT), ref("Participant")],
        "description": "An id, or the object with expand=participant.",
    },
    "method": text("How it goes out.", "manual"),
    "connection": text("Through which connection it leaves; null without a company.", None, null=True),
    "amount": ref("Money"),
    "netted": {
        **ref("Money"),
        "description": "What changed the sum of its rewards: below zero for what was taken back after it was issued.",
    },
    "rewards": array(text("A reward.", RW), "What it delivers."),
    "status": text("Where it stands.", "paid", enum=_STATUSES),
    "reason": text("Why it failed, as a code of the list of reasons.", None, null=True),
    "reference": text("Its id at the provider.", None, null=True),
    "message": text("What the provider said.", None, null=True),
    "attempts": whole("How often it was tried.", 1),
    "side": text("Which balance it is of.", "referrer", enum=[name for name, _words in SIDES]),
    "created_at": instant("When it was made."),
    "paid_at": instant("When it was paid.", null=True),
}
PAYOUT = record(_PAYOUT, about="Rewards delivered to one recipient.")
PAYOUT_DETAIL = record(
    {
        **_PAYOUT,
        "key": text("What the provider knows it by; the same in every try.", PO),
        "next_attempt_at": instant("When it is tried or asked about next by itself.", None, null=True),
        "tries": array(
            record(
                {
                    "number": whole("Counted from 1.", 1),
                    "began_at": instant("When the provider was called."),
                    "ended_at": instant("When it answered; null while it runs, or when no answer came.", null=True),
                    "state": text(
                        "What came of it; null without an answer.",
                        "paid",
                        null=True,
                    ),
                    "reference": text("The provider's id.", "TXN-88213", null=True),
                    "message": text("The provider's words.", None, null=True),
                }
            ),
            "Every try, the first one first.",
        ),
    },
    about="A payout with every try at sending it.",
)
_BATCH = {
    "id": text("The batch.", PB),
    "method": text("How its payouts go out.", "manual"),
    "note": text("Your note.", "Bank transfer of 20 November"),
    "created_by": text("Who made it.", "Server"),
    "created_at": instant("When."),
    "undone_at": instant("When it was undone.", None, null=True),
    "completed_at": instant("When nothing of it was open any more.", null=True),
    "waits_for": array(
        text("What keeps it.", "approval", enum=["approval", "funding"]),
        "What has to happen before it leaves: a second person's approval, your money at the provider.",
    ),
    "payout_count": whole("How many payouts it has.", 1),
    "counts": {
        "type": "object",
        "description": "How many payouts stand where, by status; those without any are left out.",
        "additionalProperties": {"type": "integer"},
        "example": {"paid": 1},
    },
    "amounts": array(ref("Money"), "The sum of each currency."),
}
BATCH = record(_BATCH, about="Payouts made together.")
BATCH_MADE = record(
    {**_BATCH, "payouts": array(ref("Payout"), "Its first 100 payouts; GET payouts?batch= lists all.")},
    about="A batch with its payouts.",
)
PAYOUT_METHOD = record(
    {
        "method": text("Its name.", "tremendous"),
        "connection": text("The connection through which it leaves; null without a company.", CON, null=True),
        "label": text("As the pages name it.", "Tremendous"),
        "summary": text("What the recipient gets, how and when.", "The recipient chooses a gift card."),
        "fee": text("What is known of its costs.", None, null=True),
        "kinds": array(text("A kind.", "gift_card"), "The rewards' kinds that it delivers."),
        "currencies": array(text("A currency.", "USD"), "In which it pays; empty: any."),
        "waits_for_funding": boolean("Whether a batch waits until you say that the money is there.", False),
        "options": array(
            record(
                {
                    "name": text("What to send it as.", "message"),
                    "label": text("As the pages name it.", "Message"),
                    "hint": text("What it is for.", "Stands in the mail."),
                    "required": boolean("Whether it has to be there.", False),
                    "choices": array(text("A value.", "EMAIL"), "What it can be; empty: any text."),
                }
            ),
            "What it can be told by `options`.",
        ),
    },
    about="A way of paying.",
)
PAYOUT_METHODS = record({"data": array(ref("PayoutMethod"), "All there are, our own first.")})
PAYOUT_PREVIEW = record(
    {
        "method": text("The method that was asked about.", "tremendous"),
        "payable": whole("How many rewards it would pay.", 3),
        "people": whole("How many people would be paid.", 3),
        "amounts": array(ref("Money"), "What would leave in each currency, after netting."),
        "netted": array(ref("Money"), "What earlier reversals and late additions change of it."),
        "refused": array(
            record(
                {
                    "reward": text("The reward.", RW),
                    "reason": text("Why it can't be paid this way.", "kind_not_payable"),
                }
            ),
            "Those that it can't pay, at most 1,000. Those of recipients without a payout address would wait for it.",
        ),
    },
    about="What a method would do, without doing anything.",
)
PAYOUT_FILES = record(
    {
        "data": array(
            record(
                {
                    "id": text("The file.", "pf_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
                    "name": text("Its name.", "paypal-7Tn5Yc1V-1-USD.csv"),
                    "amount": ref("Money"),
                    "lines": whole("How many payouts stand in it.", 1),
                    "size": whole("Its length in bytes.", 96),
                    "sha256": text(
                        "Of the bytes as they were made.",
                        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    ),
                    "created_at": instant("When it was frozen."),
                }
            ),
            "In their order.",
        )
    }
)
FILE_LINE: Schema = {
    "type": "string",
    "description": "A CSV file in the form of its method.",
    "examples": ["asha@example.com,15.00,USD,po_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3,Halden Coffee: Spring,PAYPAL,\r\n"],
}
PAYOUT_RETURN = record(
    {
        "id": text("What was brought back.", "pr_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "batch": text("Its batch.", PB),
        "kind": text(
            "A file, or one word for all that was open.", "file", enum=[name for name, _ in PayoutReturn.KINDS]
        ),
        "name": text("The file's name.", "results.csv"),
        "note": text("Your note, with one word for all.", ""),
        "status": text(
            "Whether its lines are still being marked.", "done", enum=[name for name, _ in PayoutReturn.STATES]
        ),
        "lines": whole("How many it has.", 1),
        "counts": record(
            {
                "paid": whole("Now paid.", 1),
                "sent": whole("Now on its way, to be claimed by the recipient.", 0),
                "failed": whole("Now not paid.", 0),
                "unchanged": whole("As they were already.", 0),
                "open": whole("Without an answer yet.", 0),
                "wrong": whole("Wrong: they changed nothing.", 0),
            }
        ),
        "wrong_lines": array(
            record(
                {
                    "line": whole("Its number in the file.", 3),
                    "payout": text("What names the payout there; null when that is no id.", PO, null=True),
                    "reason": text("Why it was not taken.", "No payout of this batch is called that."),
                }
            ),
            "The wrong ones, at most 1,000.",
        ),
        "created_at": instant("When it came."),
        "finished_at": instant("When its last line was looked at.", null=True),
    },
    about="What became of the lines of a batch of files.",
)
PAYOUTS: dict[str, Schema] = {
    "Payout": PAYOUT,
    "PayoutDetail": PAYOUT_DETAIL,
    "Batch": BATCH,
    "BatchMade": BATCH_MADE,
    "PayoutMethod": PAYOUT_METHOD,
    "PayoutMethods": PAYOUT_METHODS,
    "PayoutPreview": PAYOUT_PREVIEW,
    "PayoutFiles": PAYOUT_FILES,
    "PayoutReturn": PAYOUT_RETURN,
}
