"""Taking over from another product, or from a table: people, their referrals, and what they did (docs/imports.md)."""
