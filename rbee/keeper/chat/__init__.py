"""A question and its answer, and many of them in a chat."""
