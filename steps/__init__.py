"""The steps of the features: each is a call into harness/ or an assertion."""
