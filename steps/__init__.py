"""What the features say, each a call into harness/ or an assertion."""
