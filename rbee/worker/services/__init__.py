"""What goes on over time: the engine, the load, the word to the hive."""
