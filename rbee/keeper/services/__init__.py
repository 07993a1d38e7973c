"""What goes on over time: the queen behind a command, and one answer."""
