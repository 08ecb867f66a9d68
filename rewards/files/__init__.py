"""Paying with a file: what is frozen in it, and what the file that comes back says of each line (PROVIDERS.md, sections 6 and 7)."""
