"""The keeper's wiring: from what was typed to the one command that is run."""
