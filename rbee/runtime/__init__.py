"""How any program of ours lives, without a word about models or nodes.

paths, settings, api_key, log      what it finds on its machine
daemon, server, bind, pid_file     a daemon: from its flags to its end
lifeline, child                    how a child is tied to its parent
client, sse, retry                 talking to the others
narration, broadcast               telling what goes on
safe_text, screen, usage, log      showing it, whoever wrote it
"""
