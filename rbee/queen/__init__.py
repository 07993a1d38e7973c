"""queen-rbee: an HTTP daemon that knows the nodes, decides where work goes, and relays the answer.

`services.course` is a task's way from request to answer; `services.hive` is the queen's end of one
node's hive; `services.holds` decides how long an ephemeral queen stays.
"""
