"""Other people's protocols: each turns a request into a Task, and a Task's events into its own."""
