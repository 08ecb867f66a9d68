"""Does everything add up? Compares every figure kept for speed with what it is derived from (RELIABILITY INV-02)."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

# name, and a query whose rows are differences: (what, recorded, derived).
CHECKS: tuple[tuple[str, str], ...] = (
    (
        "reward amount and its ledger lines",
        """
        SELECT r.public_id, CASE WHEN r.state IN ('void', 'reversed') THEN 0 ELSE r.amount_minor END, COALESCE(SUM(l.amount_minor), 0)
        FROM rewards_reward r LEFT JOIN rewards_ledgerentry l ON l.reward_id = r.id
        GROUP BY r.id, r.public_id, r.state, r.amount_minor
        HAVING COALESCE(SUM(l.amount_minor), 0) <> CASE WHEN r.state IN ('void', 'reversed') THEN 0 ELSE r.amount_minor END
        """,
    ),
    (
        "payout and its ledger lines",
        """
        SELECT p.public_id, CASE WHEN p.status IN ('sent', 'paid') THEN -p.amount_minor ELSE 0 END,
          COALESCE(SUM(l.amount_minor), 0)
        FROM rewards_payout p LEFT JOIN rewards_ledgerentry l ON l.payout_id = p.id
        GROUP BY p.id, p.public_id, p.status, p.amount_minor
        HAVING COALESCE(SUM(l.amount_minor), 0) <> CASE WHEN p.status IN ('sent', 'paid') THEN -p.amount_minor ELSE 0 END
        """,
    ),
    (
        "payout and its items",
        """
        SELECT p.public_id, p.amount_minor, COALESCE(SUM(i.amount_minor), 0) + p.netted_minor
        FROM rewards_payout p LEFT JOIN rewards_payoutitem i ON i.payout_id = p.id
        GROUP BY p.id, p.public_id, p.amount_minor, p.netted_minor
        HAVING COALESCE(SUM(i.amount_minor), 0) + p.netted_minor <> p.amount_minor
        """,
    ),
    (
        "rewards counted by stage",
        """
        SELECT x.name, SUM(x.tallied), SUM(x.counted) FROM (
            SELECT t.campaign_id || ' ' || t.currency || ' ' || t.state AS name, t.count AS tallied, 0 AS counted FROM rewards_rewardtally t
            UNION ALL
            SELECT r.campaign_id || ' ' || r.currency || ' ' || r.state, 0, 1 FROM rewards_reward r
        ) x GROUP BY x.name HAVING SUM(x.tallied) <> SUM(x.counted)
        """,
    ),
    (
        "money by stage",
        """
        SELECT x.name, SUM(x.tallied), SUM(x.counted) FROM (
            SELECT t.campaign_id || ' ' || t.currency || ' ' || t.state AS name, t.amount_minor AS tallied, 0 AS counted
            FROM rewards_rewardtally t
            UNION ALL
            SELECT r.campaign_id || ' ' || r.currency || ' ' || r.state, 0, r.amount_minor FROM rewards_reward r
        ) x GROUP BY x.name HAVING SUM(x.tallied) <> SUM(x.counted)
        """,
    ),
    (
        "budget used and its rewards",
        """
        SELECT b.rule_key, b.used_minor, COALESCE(SUM(r.amount_minor), 0) FROM rewards_budgetuse b
        LEFT JOIN rewards_reward r
          ON r.campaign_id = b.campaign_id AND r.rule_key = b.rule_key AND r.state NOT IN ('void', 'reversed')
        WHERE b.period = 'all' GROUP BY b.id, b.rule_key, b.used_minor HAVING COALESCE(SUM(r.amount_minor), 0) <> b.used_minor
        """,
    ),
    (
        "shares of a friend and the whole",
        """
        SELECT s.referral_id, SUM(s.numerator), MAX(s.denominator) FROM participants_referralshare s
        GROUP BY s.referral_id HAVING SUM(s.numerator) <> MAX(s.denominator) OR MIN(s.denominator) <> MAX(s.denominator)
        """,
    ),
    (
        "decided amount and what several share of it",
        """
        SELECT d.id, d.amount_minor, COALESCE(SUM(r.amount_minor), 0)
        FROM participants_referral f
        JOIN participants_referralshare s ON s.referral_id = f.id
        JOIN participants_qualifyingevent e ON e.participant_id = f.standing_for_id
        JOIN rewards_decision d ON d.event_id = e.id AND d.current AND d.rewardable AND d.side = 'referrer'
        LEFT JOIN rewards_reward r ON r.event_id = e.id AND r.rule_key = d.rule_key AND r.participant_id = s.participant_id
          AND (r.state NOT IN ('void', 'reversed') OR r.reason IN ('denied_by_merchant', 'fraud_denied', 'recipient_erased'))
        WHERE f.split_by <> ''
        GROUP BY d.id, d.amount_minor HAVING COALESCE(SUM(r.amount_minor), 0) <> d.amount_minor
        """,
    ),
    (
        "rewards without a decision that says so",
        """
        SELECT r.public_id, 1, COUNT(d.id) FROM rewards_reward r
        LEFT JOIN rewards_decision d ON d.event_id = r.event_id AND d.rule_key = r.rule_key AND d.current
        GROUP BY r.id, r.public_id HAVING COUNT(d.id) <> 1
        """,
    ),
)


def differences() -> Iterator[tuple[str, str, int, int]]:
    """Every difference as (check, what, recorded, derived); nothing when all adds up."""
    with connection.cursor() as cursor:
        for name, query in CHECKS:
            cursor.execute(query)
            for what, recorded, derived in cursor.fetchall():
                yield name, str(what), int(recorded), int(derived)
