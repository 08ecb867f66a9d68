"""The bottom of the house: money, ids, HTTP, queue, signing. No models, and nothing above is imported from here."""
