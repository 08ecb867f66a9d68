"""What a merchant puts into their shop so that orders name the code: the theme, the pages after the checkout, the mail.

@CAMPAIGN@, @HOST@ and @LINK@ stand for the campaign's id, the address of our scripts, and the campaign's page.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from integrations.base import Text

_HEAD = """<script src="@HOST@/js/referral.js" data-campaign="@CAMPAIGN@" defer></script>
<script src="@HOST@/js/widgets.js" data-campaign="@CAMPAIGN@" defer></script>
<script src="@HOST@/js/shopify.js" data-campaign="@CAMPAIGN@" defer></script>"""

_DISCOUNT = """<script src="@HOST@/js/shopify.js" data-campaign="@CAMPAIGN@" data-discount="{code}" defer></script>"""

_POPUP = """<div data-referral-widget="popup"></div>"""

_TOML = """api_version = "2026-10"

[[extensions]]
type = "ui_extension"
name = "Invite your friends"
handle = "invite-your-friends"

[[extensions.targeting]]
target = "purchase.thank-you.block.render"
module = "./src/Invite.jsx"

[[extensions.targeting]]
target = "customer-account.order-status.block.render"
module = "./src/Invite.jsx\""""

_BLOCK = """import '@shopify/ui-extensions/preact';
import {render} from 'preact';

export default async () => {
  render(<Invite />, document.body);
};

function Invite() {
  return (
    <s-section heading="Invite your friends">
      <s-paragraph>Give your friends a discount, and get a reward when they buy.</s-paragraph>
      <s-button href="@LINK@" target="_blank">Get your link</s-button>
    </s-section>
  );
}"""

_MAIL = """<p><a href="@LINK@">Invite your friends</a></p>"""

_ACCOUNT = """<input type="hidden" name="customer[note][referral_code]" data-referral-code>"""

SNIPPETS: tuple[tuple[Text, str], ...] = (
    (_("Theme, file theme.liquid, above </head>: the cart takes the code along to the order"), _HEAD),
    (_("Theme, above </body>: the pop-up that shows an invited visitor the discount code"), _POPUP),
    (_("Instead of the third script above: the checkout has the referrer’s discount code already"), _DISCOUNT),
    (_("Thank-you and order status page: your app’s extension, file shopify.extension.toml"), _TOML),
    (_("And its file src/Invite.jsx; deploy it, then place the block in the checkout editor"), _BLOCK),
    (_("Order confirmation mail: Settings, Notifications, into the template"), _MAIL),
    (_("Theme, into the form that opens an account, where customers have passwords"), _ACCOUNT),
)
