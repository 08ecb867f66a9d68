"""A merchant worth looking at: 90 days of a coffee roaster's referrals, told through the same services that real ones use."""
