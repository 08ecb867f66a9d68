"""Addresses of settings, team, developers, history, and switching between businesses and sides."""

from __future__ import annotations

from django.urls import path

from referrals.web import (
    business,
    customers,
    developers,
    history,
    imports,
    list_exports,
    scheduled_exports,
    team,
    testing,
    transfers,
)

urlpatterns = [
    path("settings/", business.settings_page, name="settings"),
    path("settings/team/", team.team, name="team"),
    path("settings/team/<str:public_id>/role/", team.change_role, name="member_role"),
    path("settings/team/<str:public_id>/remove/", team.remove, name="member_remove"),
    path("settings/team/invitations/<str:public_id>/resend/", team.resend, name="invitation_resend"),
    path("settings/team/invitations/<str:public_id>/revoke/", team.revoke, name="invitation_revoke"),
    path("settings/customers/", customers.customer_list, name="customers"),
    path("settings/customers/add/", customers.customer_add, name="customer_add"),
    path("settings/customers/remove/", customers.customer_remove, name="customer_remove"),
    path("settings/customers/files/<str:public_id>/", customers.customer_upload, name="customer_upload"),
    path(
        "settings/customers/files/<str:public_id>/wrong.csv", customers.customer_wrong_rows, name="customer_wrong_rows"
    ),
    path("settings/exports/scheduled/", scheduled_exports.schedules, name="export_schedules"),
    path("settings/exports/scheduled/<str:public_id>/remove/", scheduled_exports.remove, name="export_schedule_remove"),
    path("settings/exports/", transfers.export_list, name="exports"),
    path("settings/exports/account/", transfers.account_export, name="account_export"),
    path("settings/exports/account/read/", transfers.account_import, name="account_import"),
    path("settings/exports/<str:public_id>/list.csv", transfers.export_file, name="export_file"),
    path("settings/exports/account/<str:public_id>.zip", transfers.account_file, name="account_file"),
    path("exports/list.csv", list_exports.list_export, name="list_export"),
    path("settings/imports/", imports.import_list, name="imports"),
    path("settings/imports/<str:public_id>/", imports.import_page, name="import"),
    path("settings/imports/<str:public_id>/wrong.csv", imports.import_wrong_rows, name="import_wrong_rows"),
    path("settings/history/", history.history, name="history"),
    path("settings/test-clock/", testing.test_clock, name="test_clock"),
    path("settings/test-data/", testing.test_data, name="test_data"),
    path("developers/", developers.developers, name="developers"),
    path("developers/signing-secret/", developers.signing_secret, name="signing_secret"),
    path("developers/keys/<str:public_id>/", developers.key_page, name="key"),
    path("developers/keys/<str:public_id>/rotate/", developers.rotate, name="key_rotate"),
    path("developers/keys/<str:public_id>/revoke/", developers.revoke, name="key_revoke"),
    path("business/new/", business.new_business, name="new_business"),
    path("switch/business/", business.switch_merchant, name="switch_merchant"),
    path("switch/mode/", business.switch_mode, name="switch_mode"),
]
