"""llm-worker-rbee: an HTTP daemon that holds one GGUF model in memory and answers many at once.

It binds its port, tells its hive, then loads. One thread owns llama.cpp (`services.engine`); the
event loop only hands requests over and streams tokens back.
"""
