"""A task is a question and its answer: which node gets it, how it runs there, and who waits."""
