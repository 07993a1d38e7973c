"""rbee-hive: an HTTP daemon, one for each node, that finds models, checks whether they fit, and
owns the workers that hold them in memory.

`services.workers` is the registry, which lives in memory only; `services.supervised` is one worker
from its start to its end.
"""
