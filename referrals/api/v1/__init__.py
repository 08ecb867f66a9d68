"""Version 1: the documented contract, seven operations (API.md, "v1"; seed 002)."""
