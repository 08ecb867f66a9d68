"""Addresses of home, campaigns and participants."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from referrals.web import (
    attribution,
    campaign_editor,
    campaign_host,
    campaign_links,
    campaign_mails,
    campaign_report,
    campaigns,
    home,
    participant,
    participant_bond,
    participant_code,
    participants,
    simulate,
    what_if,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("campaigns/", campaigns.campaign_list, name="campaigns"),
    path("campaigns/new/", campaigns.campaign_new, name="campaign_new"),
    path("campaigns/<str:public_id>/", campaigns.campaign_page, name="campaign"),
    path("campaigns/<str:public_id>/design/", campaign_editor.campaign_design, name="campaign_design"),
    path("campaigns/<str:public_id>/preview/", campaign_editor.campaign_preview, name="campaign_preview"),
    path("campaigns/<str:public_id>/rules/", campaign_editor.campaign_rules, name="campaign_rules"),
    path("campaigns/<str:public_id>/links/", campaign_links.campaign_links, name="campaign_links"),
    path("campaigns/<str:public_id>/mails/", campaign_mails.campaign_mails, name="campaign_mails"),
    path("campaigns/<str:public_id>/mails/test/", campaign_mails.campaign_mail_test, name="campaign_mail_test"),
    path("campaigns/<str:public_id>/report/", campaign_report.campaign_report, name="campaign_report"),
    path("campaigns/<str:public_id>/report.csv", campaign_report.campaign_report_csv, name="campaign_report_csv"),
    path("campaigns/<str:public_id>/host/", campaign_host.campaign_host, name="campaign_host"),
    path("campaigns/<str:public_id>/host/check/", campaign_host.campaign_host_check, name="campaign_host_check"),
    path("campaigns/<str:public_id>/settings/", campaign_editor.campaign_settings, name="campaign_settings"),
    path("campaigns/<str:public_id>/attribution/", attribution.campaign_attribution, name="campaign_attribution"),
    path(
        "campaigns/<str:public_id>/attribution.csv",
        attribution.campaign_attribution_csv,
        name="campaign_attribution_csv",
    ),
    path("campaigns/<str:public_id>/copy/", campaigns.campaign_duplicate, name="campaign_duplicate"),
    re_path(
        r"^campaigns/(?P<public_id>[0-9A-Za-z]{1,32})/(?P<action>launch|pause|resume|end)/$",
        campaigns.campaign_action,
        name="campaign_action",
    ),
    path("campaigns/<str:public_id>/simulate/", simulate.simulate_referral, name="simulate"),
    path("campaigns/<str:public_id>/simulate/<str:friend>/", simulate.simulated, name="simulated"),
    path("what-ifs/<str:public_id>/", what_if.what_if, name="what_if"),
    path("what-ifs/<str:public_id>/what-if.csv", what_if.what_if_export, name="what_if_export"),
    path("participants/", participants.participant_list, name="participants"),
    path("participants/new/", participants.participant_new, name="participant_new"),
    path("participants/export.csv", participants.participants_export, name="participants_export"),
    path("participants/<str:public_id>/", participant.participant_page, name="participant"),
    path("participants/<str:public_id>/edit/", participant.participant_edit, name="participant_edit"),
    path("participants/<str:public_id>/complete/", participant.participant_complete, name="participant_complete"),
    path("participants/<str:public_id>/code/", participant_code.participant_code, name="participant_code"),
    path("participants/<str:public_id>/mail/", participant_code.participant_mail, name="participant_mail"),
    path("participants/<str:public_id>/ban/", participant.participant_ban, name="participant_ban"),
    path("participants/<str:public_id>/unban/", participant.participant_unban, name="participant_unban"),
    path("participants/<str:public_id>/attach/", participant_bond.participant_attach, name="participant_attach"),
    path("participants/<str:public_id>/status/", participant_bond.participant_status, name="participant_status"),
    path("participants/<str:public_id>/detach/", participant_bond.participant_detach, name="participant_detach"),
    path(
        "participants/<str:public_id>/attach/undo/",
        participant_bond.participant_bond_undo,
        name="participant_bond_undo",
    ),
]
