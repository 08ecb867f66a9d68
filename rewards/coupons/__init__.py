"""Rewards that are paid with codes from a list of the merchant's own."""
