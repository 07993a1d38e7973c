"""The config file, written and changed for a person."""
