"""What is promised, value by value, and the step that compares it: a table of the harness's own.

`*.toml` is written out by hand from the contract; `python -m harness.promises` says what nobody
can compare and why, what names a step that is not there, and what the reference pages promise
besides.
"""
