"""From an HTTP request to a slot: admission, running requests, their events and metrics."""
