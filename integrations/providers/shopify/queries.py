"""Everything that we ask Shopify, word for word; tests/conformance validates each against Shopify's own schema."""

from __future__ import annotations

# Whether it is the customer's first order, and how they came: what the message of an order leaves out.
ORDER = """
query PassalongOrder($id: ID!) {
  order(id: $id) {
    customer {
      numberOfOrders
      createdAt
      orders(first: 10, sortKey: CREATED_AT) { nodes { id createdAt } }
    }
    customerJourneySummary { firstVisit { landingPage referrerUrl } lastVisit { landingPage referrerUrl } }
  }
}
"""

_MONEY = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
_REFUND = f"""
      legacyResourceId
      createdAt
      transactions(first: 3) {{ nodes {{ id kind status test amountSet {_MONEY} }} }}
"""

# A refund's sums in the shop's currency, where its message has them in the customer's only.
REFUND = f"""
query PassalongRefund($id: ID!) {{
  refund(id: $id) {{ {_REFUND} }}
}}
"""

# The nightly look: orders that changed. Small pages: a query may cost 1,000 points, and all that it could give is counted.
ORDERS = f"""
query PassalongOrders($query: String!, $after: String) {{
  orders(first: 10, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      legacyResourceId
      name
      test
      email
      createdAt
      processedAt
      cancelledAt
      displayFinancialStatus
      totalPriceSet {_MONEY}
      discountCodes
      customAttributes {{ key value }}
      customerAcceptsMarketing
      customer {{ legacyResourceId firstName lastName defaultEmailAddress {{ emailAddress marketingState }} }}
      billingAddress {{ name }}
      customerJourneySummary {{ firstVisit {{ landingPage referrerUrl }} }}
      refunds(first: 5) {{ {_REFUND} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

SHOP = """
query PassalongShop {
  shop { name myshopifyDomain currencyCode plan { partnerDevelopment } }
  currentAppInstallation { accessScopes { handle } }
}
"""

SUBSCRIPTIONS = """
query PassalongSubscriptions($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    nodes { id topic uri }
    pageInfo { hasNextPage endCursor }
  }
}
"""

SUBSCRIBE = """
mutation PassalongSubscribe($topic: WebhookSubscriptionTopic!, $uri: String!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: { uri: $uri, format: JSON }) {
    webhookSubscription { id }
    userErrors { field message }
  }
}
"""

UNSUBSCRIBE = """
mutation PassalongUnsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}
"""

DISCOUNT_BY_CODE = """
query PassalongDiscount($code: String!) {
  codeDiscountNodeByCode(code: $code) {
    id
    codeDiscount { __typename ... on DiscountCodeBasic { title status tags } }
  }
}
"""

MAKE_DISCOUNT = """
mutation PassalongMakeDiscount($discount: DiscountCodeBasicInput!) {
  discountCodeBasicCreate(basicCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}
"""

CHANGE_DISCOUNT = """
mutation PassalongChangeDiscount($id: ID!, $discount: DiscountCodeBasicInput!) {
  discountCodeBasicUpdate(id: $id, basicCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}
"""

SWITCH_ON = """
mutation PassalongSwitchOn($id: ID!) {
  discountCodeActivate(id: $id) { userErrors { field message code } }
}
"""

SWITCH_OFF = """
mutation PassalongSwitchOff($id: ID!) {
  discountCodeDeactivate(id: $id) { userErrors { field message code } }
}
"""

# A reward as a discount code, with the sum that the shop itself says it takes off.
_REWARD = """
      id
      codeDiscount {
        __typename
        ... on DiscountCodeBasic {
          createdAt
          endsAt
          tags
          customerGets { value { __typename ... on DiscountAmount { amount { amount currencyCode } } } }
        }
      }
"""

GIVE_DISCOUNT = f"""
mutation PassalongGiveDiscount($discount: DiscountCodeBasicInput!) {{
  discountCodeBasicCreate(basicCodeDiscount: $discount) {{
    codeDiscountNode {{ {_REWARD} }}
    userErrors {{ field message code }}
  }}
}}
"""

GIVEN_DISCOUNT = f"""
query PassalongGivenDiscount($code: String!) {{
  codeDiscountNodeByCode(code: $code) {{ {_REWARD} }}
}}
"""

GIVEN_DISCOUNTS = f"""
query PassalongGivenDiscounts($query: String!, $after: String) {{
  codeDiscountNodes(first: 50, after: $after, query: $query) {{
    nodes {{ {_REWARD} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

_CARD = "id note lastCharacters createdAt expiresOn initialValue { amount currencyCode }"

GIVE_CARD = f"""
mutation PassalongGiveCard($card: GiftCardCreateInput!) {{
  giftCardCreate(input: $card) {{
    giftCard {{ {_CARD} }}
    userErrors {{ field message code }}
  }}
}}
"""

# By the whole code, or by when they were made.
GIVEN_CARDS = f"""
query PassalongGivenCards($query: String!, $after: String) {{
  giftCards(first: 50, after: $after, query: $query) {{
    nodes {{ {_CARD} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

GIVE_CREDIT = """
mutation PassalongGiveCredit($customer: ID!, $credit: StoreCreditAccountCreditInput!) {
  storeCreditAccountCredit(id: $customer, creditInput: $credit) {
    storeCreditAccountTransaction { id amount { amount currencyCode } }
    userErrors { field message code }
  }
}
"""

# What was written on a customer's store credit last: what a person compares.
CREDITS = """
query PassalongCredits($customer: ID!) {
  customer(id: $customer) {
    storeCreditAccounts(first: 5) {
      nodes {
        transactions(first: 20, reverse: true) { nodes { __typename createdAt event amount { amount currencyCode } } }
      }
    }
  }
}
"""

CUSTOMER = """
query PassalongCustomer($email: String!) {
  customerByIdentifier(identifier: { emailAddress: $email }) { id }
}
"""

EVERY: dict[str, str] = {
    name: text for name, text in list(vars().items()) if name.isupper() and not name.startswith("_")
}
