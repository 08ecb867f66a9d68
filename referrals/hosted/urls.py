"""Public pages: campaign, short links, portal (API.md, "Other addresses")."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from referrals.hosted import (
    assets,
    confirm,
    consent,
    hosts,
    invitation,
    invited,
    landing,
    mail_preview,
    mail_stop,
    payout_links,
    portal,
    portal_invites,
    portal_settings,
    script,
    short,
    widget,
)

app_name = "hosted"
urlpatterns: list[URLPattern | URLResolver] = [
    path("campaign", landing.campaign_page, name="campaign"),
    path("campaign/joined", landing.joined, name="joined"),
    path("campaign/terms", landing.terms, name="terms"),
    path("campaign/confirm", confirm.confirm_page, name="confirm"),
    path("campaign/consent", consent.agree, name="consent"),
    path("r/<str:code>", short.short_link, name="short"),
    path("r/<str:code>/", short.short_link),
    path("r/<str:code>/qr.svg", short.qr_image, {"kind": "svg"}, name="qr_svg"),
    path("r/<str:code>/qr.png", short.qr_image, {"kind": "png"}, name="qr_png"),
    # A chosen code is unique in its campaign only: the campaign's name or id stands before it.
    path("r/<str:name>/<str:code>", short.short_link, name="short_chosen"),
    path("r/<str:name>/<str:code>/", short.short_link),
    path("r/<str:name>/<str:code>/qr.svg", short.qr_image, {"kind": "svg"}),
    path("r/<str:name>/<str:code>/qr.png", short.qr_image, {"kind": "png"}),
    path("hosts/certificate", hosts.certificate_for, name="host_certificate"),
    re_path(r"^c/(?P<campaign_id>[0-9A-Za-z]{10})/theme-(?P<digest>[0-9a-f]{12})\.css$", assets.theme, name="theme"),
    re_path(
        r"^c/(?P<campaign_id>[0-9A-Za-z]{10})/logo-(?P<digest>[0-9a-f]{16})\.(?P<ext>png)$",
        assets.image,
        {"kind": "logo"},
        name="logo",
    ),
    re_path(
        r"^c/(?P<campaign_id>[0-9A-Za-z]{10})/hero-(?P<digest>[0-9a-f]{16})\.(?P<ext>webp)$",
        assets.image,
        {"kind": "hero"},
        name="hero",
    ),
    re_path(
        r"^c/(?P<campaign_id>[0-9A-Za-z]{10})/og-(?P<language>[a-z]{2,8})-(?P<digest>[0-9a-f]{12})\.png$",
        assets.og_image,
        name="og",
    ),
    path("js/referral.js", script.file, {"name": "referral.js"}, name="script"),
    path("js/widgets.js", script.file, {"name": "widgets.js"}, name="script_widgets"),
    re_path(
        r"^js/(?P<campaign_id>[0-9A-Za-z]{10})/(?P<name>campaign|code|visit|participants|events|widget)$",
        script.call,
        name="script_call",
    ),
    re_path(
        r"^widget/(?P<campaign_id>[0-9A-Za-z]{10})/(?P<kind>referrer|invitee)$",
        widget.widget,
        name="widget",
    ),
    path("", include("referrals.hosted.hub_urls")),
    path("invited/<str:token>", invitation.invitation, name="invitation"),
    path("invited/<str:token>/stop", invitation.invitation_stop, name="invitation_stop"),
    path("me/", portal.home, name="portal"),
    path("me/open/<str:token>", portal.open_link, name="portal_open"),
    path("me/mail-preview/<str:token>", mail_preview.preview, name="mail_preview"),
    path("me/settings", portal_settings.settings_page, name="portal_settings"),
    path("me/settings/mails", portal_settings.mails, name="portal_mails"),
    path("me/settings/sessions", portal_settings.sessions, name="portal_sessions"),
    path("me/payout", portal_settings.payout, name="portal_payout"),
    path("me/payout/confirm/<str:token>", payout_links.confirm, name="payout_confirm"),
    path("me/payout/keep/<str:token>", payout_links.keep, name="payout_keep"),
    path("me/invited/<str:token>", invited.stop, name="invited_stop"),
    path("me/invite", portal_invites.invite, name="portal_invite"),
    path("me/remind", portal_invites.remind, name="portal_remind"),
    path("me/mails/<str:token>", mail_stop.mail_stop, name="mail_stop"),
    path("me/out", portal.log_out, name="portal_out"),
    path("me/board", portal.set_board, name="portal_board"),
    path("me/code", portal.set_code, name="portal_code"),
    path("me/qr.svg", portal.qr_file, {"kind": "svg"}, name="portal_qr_svg"),
    path("me/qr.png", portal.qr_file, {"kind": "png"}, name="portal_qr_png"),
]
