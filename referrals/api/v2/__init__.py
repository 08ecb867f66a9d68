"""Version 2: resources (API.md, "v2")."""
