"""Design and texts: what is saved, what is refused, what the preview is told."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from campaigns import services
from campaigns.models import Campaign, CampaignImage, CampaignText
from campaigns.preview import Preview, read_preview
from referrals.events.models import Event
from referrals.web.campaign_editor import color_note
from tests.factories import ACTOR, Cast

CHANGED = "Somebody changed this campaign in the meantime. Reload the page and make your change again."


def _url(campaign: Campaign, rest: str = "design/") -> str:
    return f"/app/campaigns/{campaign.public_id}/{rest}"


def _form(campaign: Campaign, **changes: Any) -> dict[str, Any]:
    return {"revision": campaign.revision, "language": "en", "brand_color": "#c93a17", "font": "serif", **changes}


def _png(color: str = "#123456") -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), color).save(out, "PNG")
    return SimpleUploadedFile("logo.png", out.getvalue(), "image/png")


def _preview(answer: Any, campaign: Campaign) -> Preview | None:
    url = answer.context["preview_url"] if answer.context else answer["Location"]
    return read_preview(campaign, parse_qs(urlsplit(url).query)["preview"][0])


def test_texts_and_look_are_saved_for_one_language(alice: Cast, campaign: Campaign) -> None:
    answer = alice.client.post(
        _url(campaign), _form(campaign, language="de", reward_header=" Hallo ", share_header="Teilen")
    )

    assert answer["Location"] == f"{_url(campaign)}?language=de"
    campaign.refresh_from_db()
    assert (campaign.brand_color, campaign.font) == ("#c93a17", "serif")
    row = CampaignText.objects.get()
    assert (row.language, row.reward_header, row.share_header, row.terms) == ("de", "Hallo", "Teilen", "")


def test_empty_fields_show_what_the_page_says_instead(alice: Cast, campaign: Campaign) -> None:
    page = alice.client.get(_url(campaign)).content.decode()

    assert 'placeholder="Get $15 for each friend."' in page


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"brand_color": "red"}, "brand_color", "Use a colour such as #c93a17."),
        ({"brand_color": "#c93a17;}"}, "brand_color", "Use a colour such as #c93a17."),
        ({"font": "comic"}, "font", "Select a valid choice. comic is not one of the available choices."),
        ({"reward_header": "x" * 121}, "reward_header", "Ensure this value has at most 120 characters (it has 121)."),
        ({"share_message": "x" * 281}, "share_message", "Ensure this value has at most 280 characters (it has 281)."),
    ],
    ids=["colour word", "colour with code", "font", "long headline", "long message"],
)
def test_what_is_wrong_is_said_at_its_field(
    alice: Cast, campaign: Campaign, changes: dict[str, str], field: str, message: str
) -> None:
    answer = alice.client.post(_url(campaign), _form(campaign, thank_you="kept", **changes))

    assert answer.status_code == 422
    assert answer.context["form"].errors == {field: [message]}
    assert answer.context["form"]["thank_you"].value() == "kept"
    assert CampaignText.objects.count() == 0
    assert Campaign.objects.get().brand_color == "#0a6470"


def test_a_second_tab_is_told_and_keeps_what_was_typed(alice: Cast, campaign: Campaign) -> None:
    form = _form(campaign, reward_header="From the old tab")
    services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts={"reward_header": "New"})

    answer = alice.client.post(_url(campaign), form)

    assert answer.status_code == 409
    assert answer.context["form"].non_field_errors() == [CHANGED]
    assert answer.context["form"]["reward_header"].value() == "From the old tab"
    assert CampaignText.objects.get().reward_header == "New"


def test_a_logo_is_kept_as_our_own_picture_and_can_be_removed(alice: Cast, campaign: Campaign) -> None:
    alice.client.post(_url(campaign), _form(campaign, logo=_png()))

    image = CampaignImage.objects.get()
    assert (image.kind, image.width, image.height, bytes(image.content)[:4]) == ("logo", 40, 20, b"\x89PNG")

    campaign.refresh_from_db()
    alice.client.post(_url(campaign), _form(campaign, remove_logo="on"))
    assert CampaignImage.objects.count() == 0


def test_a_file_that_is_no_picture_saves_nothing(alice: Cast, campaign: Campaign) -> None:
    events = Event.objects.count()
    svg = SimpleUploadedFile("logo.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png")

    answer = alice.client.post(_url(campaign), _form(campaign, reward_header="Kept out", logo=svg))

    assert answer.status_code == 422
    assert answer.context["form"].errors["logo"] == ["This file is no PNG, JPEG or WebP picture. Choose one of those."]
    assert CampaignText.objects.count() == 0
    assert Event.objects.count() == events


def test_the_preview_starts_as_a_friend_in_the_default_language(alice: Cast, campaign: Campaign) -> None:
    assert _preview(alice.client.get(_url(campaign)), campaign) == Preview("invitee", "en", {}, {})


def test_the_preview_is_told_what_is_typed_and_saves_nothing(alice: Cast, campaign: Campaign) -> None:
    data = {"side": "referrer", "language": "ar", "share_header": " شارك ", "brand_color": "#C93A17", "font": "comic"}

    answer = alice.client.post(_url(campaign, "preview/"), data)

    assert answer.status_code == 303
    assert answer["Location"].startswith(f"/campaign?id={campaign.public_id}&preview=")
    assert _preview(answer, campaign) == Preview("referrer", "ar", {"share_header": "شارك"}, {"brand_color": "#c93a17"})
    assert CampaignText.objects.count() == 0


def test_the_script_gets_address_and_remark(alice: Cast, campaign: Campaign) -> None:
    answer = alice.client.post(
        _url(campaign, "preview/"), {"brand_color": "#ffee00"}, headers={"accept": "application/json"}
    )

    assert answer.json()["url"].startswith("/campaign?id=")
    assert answer.json()["note"] == color_note("#ffee00")
    assert "dark text" in answer.json()["note"]


def test_a_token_of_one_campaign_opens_no_other(alice: Cast, campaign: Campaign) -> None:
    other = services.duplicate(campaign=campaign, actor=ACTOR)
    answer = alice.client.get(_url(campaign))

    assert _preview(answer, other) is None
    assert read_preview(campaign, "garbage") is None


def test_a_viewer_may_preview_but_not_save(bob: Cast, campaign: Campaign) -> None:
    assert bob.client.post(_url(campaign, "preview/"), {}).status_code == 303
    assert bob.client.post(_url(campaign), _form(campaign, reward_header="No")).status_code == 403
    assert CampaignText.objects.count() == 0


@pytest.mark.parametrize(
    ("color", "note"),
    [
        ("#c93a17", "White text on it reads well, contrast 5.1."),
        (
            "#e85d04",
            "White text on it has a contrast of 3.5, and 4.5 is needed. The nearest colour that passes is #c85003; the page uses that.",
        ),
        (
            "#ffee00",
            "White text on it has a contrast of 1.2, and 4.5 is needed, so buttons get dark text, contrast 14.6."
            " The nearest colour for white text is #807700."
            " Bars in it can hardly be seen on the light page, contrast 1.2 of 3; they are drawn in #8f8500.",
        ),
        (
            "#101014",
            "White text on it reads well, contrast 19.0."
            " Bars in it can hardly be seen on the dark page, contrast 1.1 of 3; they are drawn in #7c7c7e.",
        ),
        ("#nope", "Use a colour such as #c93a17."),
    ],
)
def test_the_remark_on_a_colour(color: str, note: str) -> None:
    assert color_note(color) == note
