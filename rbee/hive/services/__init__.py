"""What goes on over time: the registry of workers, and each worker's life."""
