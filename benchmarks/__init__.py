"""How fast it is, measured from outside, as a person meets it. Not part of the tests."""
