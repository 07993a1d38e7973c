"""The logs of the hive and its workers, read and followed."""
