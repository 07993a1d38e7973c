"""The pages of the documentation that are made from the code, never by hand.

`python -m pages` writes them; a test fails where one is stale.
"""
