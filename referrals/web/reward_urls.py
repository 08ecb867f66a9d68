"""Addresses of rewards and payouts."""

from __future__ import annotations

from django.urls import path

from referrals.web import (
    books,
    exports,
    payout_attention,
    payout_batch,
    payout_differences,
    payout_files,
    payout_page,
    payouts,
    rewards,
)

urlpatterns = [
    path("rewards/", rewards.rewards, name="rewards"),
    path("rewards/act/", rewards.act, name="rewards_act"),
    path("rewards/export.csv", exports.rewards_export, name="rewards_export"),
    path("rewards/<str:public_id>/", rewards.reward, name="reward"),
    path("payouts/", payouts.payouts, name="payouts"),
    path("payouts/all/", payouts.payouts_all, name="payouts_all"),
    path("payouts/books/", books.books, name="books"),
    path("payouts/years/", books.year_totals, name="year_totals"),
    path("payouts/years/notice/", books.year_notice, name="year_notice"),
    path("payouts/attention/", payout_attention.payouts_attention, name="payouts_attention"),
    path("payouts/difference/<str:public_id>/", payout_differences.payout_difference_end, name="payout_difference_end"),
    path("payouts/one/<str:public_id>/", payout_page.payout, name="payout"),
    path("payouts/one/<str:public_id>/retry/", payout_page.payout_retry, name="payout_retry"),
    path("payouts/one/<str:public_id>/withdraw/", payout_page.payout_withdraw_one, name="payout_withdraw_one"),
    path("payouts/one/<str:public_id>/ask/", payout_page.payout_ask, name="payout_ask"),
    path("payouts/one/<str:public_id>/gift/", payout_page.payout_gift, name="payout_gift"),
    path("payouts/one/<str:public_id>/paid/", payout_page.payout_decide, {"answer": "paid"}, name="payout_paid"),
    path("payouts/one/<str:public_id>/unpaid/", payout_page.payout_decide, {"answer": "unpaid"}, name="payout_unpaid"),
    path("payouts/files/<str:public_id>/", payout_files.payout_file, name="payout_file"),
    path("payouts/returned/<str:public_id>/", payout_files.payout_return, name="payout_return"),
    path("payouts/returned/<str:public_id>/wrong.csv", payout_files.payout_return_wrong, name="payout_return_wrong"),
    path("payouts/<str:public_id>/results.csv", payout_files.payout_sheet, name="payout_sheet"),
    path("payouts/<str:public_id>/returned/", payout_files.payout_return_file, name="payout_return_file"),
    path("payouts/<str:public_id>/rest/paid/", payout_files.payout_rest, {"kind": "paid"}, name="payout_rest_paid"),
    path(
        "payouts/<str:public_id>/rest/withdrawn/",
        payout_files.payout_rest,
        {"kind": "withdrawn"},
        name="payout_rest_withdrawn",
    ),
    path("payouts/<str:public_id>/", payout_batch.payout_batch, name="payout_batch"),
    path("payouts/<str:public_id>/undo/", payout_batch.payout_undo, name="payout_undo"),
    path("payouts/<str:public_id>/withdraw/", payout_batch.payout_withdraw, name="payout_withdraw"),
    path("payouts/<str:public_id>/approve/", payout_batch.payout_approve, name="payout_approve"),
    path("payouts/<str:public_id>/export.csv", exports.payout_export, name="payout_export"),
]
