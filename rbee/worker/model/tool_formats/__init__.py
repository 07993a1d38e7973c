"""What a model writes, taken apart as it comes: text, reasoning, and calls of functions.

`families.py` knows which form a model's chat template teaches; a reader for each kind of form turns
it into pieces; `parser.py` puts them in order. All of it is pure: text in, pieces out.
"""
