"""A whole account as one archive: written, read back elsewhere, with the same derived totals (docs/exports.md, "The whole account")."""
