"""Stand-ins for the companies that we talk to: in test mode, and in tests (ADR 15, docs/test-mode.md, "Stand-ins").

`base` is the frame, `state` where it remembers, `scripts` what an amount makes happen, `keys` how companies treat a request that is sent
twice, `sending` the way to them, `messages` their webhooks, `serving` the same over HTTP for tests. One module per company.
"""
