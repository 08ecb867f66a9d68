"""Lists that signals look things up in, most of them short and written by hand; a merchant blocks further domains (docs/fraud.md)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from disposable_email_domains import blocklist

# Mailboxes for anybody: the same domain says nothing about two people.
PUBLIC_MAIL = frozenset(
    """
    gmail.com googlemail.com outlook.com hotmail.com hotmail.co.uk hotmail.fr hotmail.de hotmail.it live.com live.co.uk msn.com yahoo.com
    yahoo.co.uk yahoo.co.in yahoo.co.jp yahoo.fr yahoo.de yahoo.es yahoo.it yahoo.com.br ymail.com rocketmail.com icloud.com me.com mac.com
    aol.com aol.de proton.me protonmail.com pm.me gmx.de gmx.net gmx.at gmx.ch gmx.com web.de t-online.de freenet.de mail.com mail.ru
    yandex.ru yandex.com bk.ru inbox.ru list.ru rambler.ru qq.com 163.com 126.com sina.com foxmail.com naver.com daum.net hanmail.net
    rediffmail.com zoho.com zohomail.com fastmail.com fastmail.fm hey.com tutanota.com tuta.io tuta.com posteo.de mailbox.org orange.fr
    wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it terra.com.br uol.com.br bol.com.br seznam.cz centrum.cz
    wp.pl o2.pl onet.pl interia.pl abv.bg ukr.net bigpond.com optusnet.com.au btinternet.com sky.com virginmedia.com comcast.net
    verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net shaw.ca rogers.com telus.net bluewin.ch telenet.be skynet.be
    ziggo.nl kpnmail.nl planet.nl home.nl telia.com online.no
    """.split()
)
# Providers where a +tag reaches the same mailbox: there it is a hard rule already (S01).
PLUS_MAIL = frozenset(
    """
    gmail.com googlemail.com outlook.com hotmail.com live.com icloud.com me.com mac.com proton.me protonmail.com pm.me fastmail.com
    fastmail.fm zoho.com zohomail.com hey.com posteo.de mailbox.org yandex.com yandex.ru
    """.split()
)
# Addresses that forward to a real one: a wish for privacy, worth a look and no more.
RELAYS = frozenset(
    """
    privaterelay.appleid.com icloud-relay.com duck.com mozmail.com relay.firefox.com simplelogin.com simplelogin.co aleeas.com slmail.me
    slmails.com silomails.com addy.io anonaddy.com anonaddy.me passmail.net passmail.com passinbox.com 8alias.com dralias.com
    """.split()
)
# Mailboxes that are thrown away: ten thousand of them, and the one of the demo shop's stories.
DISPOSABLE = frozenset(blocklist) | {"disposable.example"}
# Sites that collect codes.
COUPON_HOSTS = frozenset(
    """
    retailmenot.com groupon.com coupons.com slickdeals.net honey.com joinhoney.com couponfollow.com couponcabin.com dealspotr.com
    offers.com promocodes.com vouchercodes.co.uk hotukdeals.com myvouchercodes.co.uk mydealz.de gutscheine.de sparwelt.de dealabs.com
    ma-reduc.com igraal.com pepper.com pepper.pl pepper.it chollometro.com ozbargain.com.au wethrift.com dontpayfull.com couponbirds.com
    knoji.com simplycodes.com capitaloneshopping.com goodsearch.com referralcodes.com refermate.com invitation.codes couponduniya.in
    grabon.in coupondunia.in
    """.split()
)
PAID_CLICKS = ("gclid", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "yclid")


def under(host: str, names: frozenset[str]) -> bool:
    """Whether a host is one of the names or stands below one (mail.example.com below example.com)."""
    parts = host.casefold().rstrip(".").split(".")
    return any(".".join(parts[start:]) in names for start in range(len(parts) - 1))


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    return name.split(" ", 1)[0] if char.isalpha() else ""


_LATIN_LOOKALIKES = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


def mixes_scripts(word: str) -> bool:
    """Whether one word mixes Latin letters with another alphabet's that look like them: paypаl with a Cyrillic а.

    A word wholly in one alphabet is somebody's language, and so are Japanese or Korean beside Latin.
    """
    scripts = {_script(char) for char in word} - {""}
    return "LATIN" in scripts and bool(scripts & _LATIN_LOOKALIKES)


def decoded_domain(domain: str) -> str:
    """A punycode domain in its own letters; as it stands when that can't be read."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
