"""The nodes that the queen knows, and the hive on each of them."""
