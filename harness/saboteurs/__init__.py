"""Broken promises, one at a time: would a scenario notice, or a unit test?

A green run says that the programs keep what the scenarios ask for. Whether the scenarios ask for
all that was promised is found out from the other side: each `*.toml` here breaks promises, and
`python -m harness.saboteurs` runs the scenarios that should see it against programs that break one.
A break that nobody notices is a hole in the specification.
"""
