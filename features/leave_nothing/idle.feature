Feature: A model that nobody uses leaves the memory

  @t001-45 @edge-case @B11.5
  Scenario: EC10: A worker that nobody asks is stopped, and its memory is free again
    When I run `rbee-hive daemon --show-settings`
    Then it exits with 0
    And it shows hive.idle_timeout_s as 300
    Given the setting hive.idle_timeout_s is 5
    And the setting worker.mmap is false
    And a queen and a hive that an operator started
    And somebody watches the wire
    And the memory that they hold is noted
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And somebody watches the hive's events
    And the worker's ending is watched
    Then the memory that they hold has grown by at least 80 MB
    And the idle worker was told to stop, and exited with 0
    And it was idle for at least 5 s, and not much longer
    And the hive sent that worker POST /v1/admin/shutdown, once, and it answered 202
    And the kernel says that it exited with 0
    And the memory that they hold is as before, within 30 MB
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the phases are shown in order, "worker startup" right after "worker preflight"
    And another worker of the same hive answered

  @t001-48 @lifecycle @critical
  Scenario: The idle worker goes, the hive stays
    On one machine a lifeline needs no heartbeats: its lease is long over.
    Given the setting hive.idle_timeout_s is 5
    And the setting times.lifeline_lease_s is 1
    And a persistent queen, with a worker that has answered once
    Then the worker is gone at least 5 s after it answered, and not much longer
    And the hive is still the same process and lists no worker
    And the hive answers that it is alive
    And the queen is still the same process
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered

  @beyond
  Scenario: A worker that is working is not idle, and its idle time begins when its answer ends
    Given the setting hive.idle_timeout_s is 2
    And a queen and a hive that an operator started
    When a task for 8000 tokens streams
    And somebody watches the hive's events
    And it has streamed for 3 s, and is deleted
    Then the hive lists it as idle since then
    And the worker is gone at least 2 s after that, and not much longer
