"""What-if: a campaign's real events judged by rules that are not in force, and what would differ (PRODUCT.md, "Campaigns"; ADR 9).

plan.py says which rules have to be asked again, rows.py reads events as plain values, replay.py asks and compares, differences.py adds
up, report.py writes the answer down, jobs.py lets the worker do it. Nothing here writes anything but the row of the job.
"""
