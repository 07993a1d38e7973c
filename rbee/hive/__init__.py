"""rbee-hive: the HTTP daemon of one node, which keeps its models and owns its workers."""
