"""A merchant worth looking at: 90 days of a coffee roaster's referrals, told through the same services that real ones use."""

EMAIL = "elin@halden.example"
PASSWORD = "halden-roasts-to-order"  # noqa: S105 - the demo's public log-in, printed at every start
