"""Who might be gaming a campaign: facts of one referral in, a score with its reasons out (RELIABILITY section 11.2)."""
