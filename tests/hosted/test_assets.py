"""What the pages load: colours, logo, picture, and the image for shared links; each address changes with its content."""

from __future__ import annotations

import io
import re

import pytest
from django.test import Client
from PIL import Image

from campaigns import services
from campaigns.models import Campaign
from campaigns.theme import color_hash
from participants.models import Participant
from referrals.hosted import og, qr
from tests.factories import ACTOR, Cast, make_campaign

FOREVER = "public, max-age=31536000, immutable"


def a_picture(color: str = "#123456", size: tuple[int, int] = (60, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def address(client: Client, campaign: Campaign, pattern: str) -> str:
    html = client.get(f"/campaign?id={campaign.public_id}").content.decode()
    found = re.search(pattern, html)
    assert found is not None, html
    return found[1]


def test_the_colours_are_a_style_sheet_for_ever(double: Campaign, person: Client) -> None:
    path = address(person, double, r'href="(/c/[^"]+\.css)"')
    answer = person.get(path)
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (
        200,
        "text/css; charset=utf-8",
        FOREVER,
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"--brand:#c93a17" in answer.content
    assert answer.cookies == {}


def test_a_former_colours_address_gives_the_present_ones_for_a_minute(double: Campaign, person: Client) -> None:
    old = address(person, double, r'href="(/c/[^"]+\.css)"')
    services.update_campaign(campaign=double, actor=ACTOR, brand_color="#0a6470")
    answer = person.get(old)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "public, max-age=60")
    assert b"--brand:#0a6470" in answer.content


@pytest.mark.parametrize("trial", ["red", "12345", "c93a17;}", "c93a17%0a", "%00"])
def test_only_a_colour_can_be_tried(double: Campaign, person: Client, trial: str) -> None:
    answer = person.get(f"/c/{double.public_id}/theme-{color_hash('#c93a17')}.css?c={trial}")
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert b"--brand:#c93a17" in answer.content


@pytest.mark.parametrize(
    ("kind", "ext", "content_type"), [("logo", "png", "image/png"), ("hero", "webp", "image/webp")]
)
def test_pictures_are_served_as_we_wrote_them(
    double: Campaign, person: Client, kind: str, ext: str, content_type: str
) -> None:
    services.set_image(campaign=double, kind=kind, upload=a_picture(), actor=ACTOR)
    path = address(person, double, rf'src="(/c/[^"]+/{kind}-[0-9a-f]{{16}}\.{ext})"')
    answer = person.get(path)
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (200, content_type, FOREVER)
    assert Image.open(io.BytesIO(answer.content)).size == (60, 30)
    services.set_image(campaign=double, kind=kind, upload=a_picture("#654321"), actor=ACTOR)
    assert person.get(path).status_code == 404


def test_a_picture_of_another_campaign_is_not_found(double: Campaign, alice: Cast, person: Client) -> None:
    services.set_image(campaign=double, kind="logo", upload=a_picture(), actor=ACTOR)
    path = address(person, double, r'src="(/c/[^"]+/logo-[^"]+)"')
    other = make_campaign(alice.tenant)
    assert person.get(path.replace(double.public_id, other.public_id)).status_code == 404
    assert person.get(path.replace(double.public_id, "JCu82f30F1")).status_code == 404


def test_a_former_shared_picture_leads_to_the_present_one(double: Campaign, person: Client) -> None:
    pattern = r'property="og:image" content="http://localhost:8000([^"]+)"'
    old = address(person, double, pattern)
    services.save_texts(campaign=double, language="en", actor=ACTOR, texts={"reward_header": "Your first bag"})
    new = address(person, double, pattern)
    assert old != new
    answer = person.get(old)
    assert (answer.status_code, answer["Location"]) == (302, new)
    image = Image.open(io.BytesIO(person.get(new).content))
    assert (image.format, image.size) == ("PNG", (1200, 630))


@pytest.mark.parametrize("language", ["xx", "zz"])
def test_a_shared_picture_speaks_a_known_language(double: Campaign, person: Client, language: str) -> None:
    assert person.get(f"/c/{double.public_id}/og-{language}-0123456789ab.png").status_code == 404


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen", id="one long word"),
        pytest.param("word " * 24, id="many words"),
        pytest.param("حقيبتك الأولى", id="letters the font has not"),
        pytest.param("\u202e\u0000\t😀", id="odd characters"),
    ],
)
def test_any_words_make_a_picture(double: Campaign, words: str) -> None:
    double.merchant.name = words[:120]
    services.save_texts(
        campaign=double, language="en", actor=ACTOR, texts={"reward_header": words.replace("\0", "")[:120]}
    )
    fresh = Campaign.objects.get(pk=double.pk)
    fresh.merchant.name = words[:120]
    assert Image.open(io.BytesIO(og.draw(fresh, "en"))).size == (1200, 630)


def test_a_logo_is_on_the_shared_picture(double: Campaign) -> None:
    plain = og.draw(double, "en")
    services.set_image(campaign=double, kind="logo", upload=a_picture("#00ff00", (240, 64)), actor=ACTOR)
    image = Image.open(io.BytesIO(og.draw(double, "en"))).convert("RGB")
    assert image.getpixel((100, 100)) == (0, 255, 0)
    assert plain != og.draw(double, "en")


def test_qr_codes_are_of_the_link(asha: Participant) -> None:
    svg = qr.inline(f"http://localhost:8000/r/{asha.referral_code}")
    assert svg.startswith('<svg viewBox="0 0 29 29" class="qrcode"><path class="qrline"')
    assert "style=" not in svg
    assert qr.inline("a") != qr.inline("b")
