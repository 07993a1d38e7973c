Feature: What goes wrong before and during an answer

  @t001-35
  Scenario: All slots are busy, and no request may wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    When a task for 2000 tokens streams
    And the worker is sent a prompt of 2 words
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And it says 1 slot in all and 1 busy, in the error and in its details
    And it says when to try again
    When I run `rbee-keeper infer --prompt hi --max-tokens 1`
    Then it exits with 1
    And the error is ALL_SLOTS_BUSY
    And it asked 4 times, with 1, 2 and 4 s in between
    And standard error says "another node"
    And it is a clear message with a next step
    And nothing else was spawned, and the first task still streams

  @t001-39 @edge-case
  Scenario: The worker is killed
    Given a persistent queen
    And a proxy between keeper and queen
    And the setting hive.health_interval_s is 30
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And somebody watches the hive's events
    And the worker is killed
    Then it exits with 1
    And the error is WORKER_CRASHED
    And it says how many of 2000 tokens came, exactly as many as the queen sent
    And it says how many of 2000 tokens came, as many as were shown
    And the text so far is saved, readable only by its owner
    And the hive reported that the worker is gone, with exit code -9: it was ended by signal 9
    And the hive reported and logged the worker's last lines
    And the hive is still the same process and lists no worker
