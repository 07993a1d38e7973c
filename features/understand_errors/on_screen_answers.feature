@edge-case
Feature: What goes wrong with an answer, as a person at a terminal sees it

  @t001-39
  Scenario: EC4: the worker is killed while it answers
    Given a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --max-tokens 2000 --temperature 0` on a terminal
    And the story is arriving there
    And the worker is killed
    Then it exits there with 1
    And the screen shows WORKER_CRASHED, and right below it the next step
    And the screen says how many of 2000 tokens came
    And the file that the screen names holds the text that the screen shows, readable only by its owner
    And the screen says "ended by signal 9"
    And the screen's next step says "rbee-keeper logs --node localhost"
    And the hive reported that the worker is gone, with exit code -9: it was ended by signal 9
    And the hive reported and logged the worker's last lines
    And the hive is still the same process and lists no worker

  @t001-40
  Scenario: EC5: Ctrl+C while it answers
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --max-tokens 2000 --temperature 0` on a terminal
    And the story is arriving there
    And the pids of queen, hive and worker are noted
    And I press Ctrl+C there
    Then it exits there with 130
    And the last line of the screen is "Canceled."
    And the worker was sent one DELETE, for that request, and answered 204
    And the worker becomes idle
    And all its slots are free
    And the worker stops computing

  @t001-41
  Scenario: EC6: all slots are busy, and no request may wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    When a task for 4000 tokens streams
    And I type `rbee-keeper infer --quiet --prompt hi --max-tokens 1` on a terminal
    Then it exits there with 1
    And it asked 4 times, with 1, 2 and 4 s in between
    And the terminal counted the waits down in place: 1, then 2 1, then 4 3 2 1
    And the screen has three lines about waiting
    And the screen shows ALL_SLOTS_BUSY, and right below it the next step
    And the screen says "after 3 retries"
    And the screen's next step says "use another node"
    And the screen's next step says "rbee-keeper setup list-nodes"
    And nothing else was spawned, and the first task still streams

  @t001-41
  Scenario: EC6, without a terminal: a line for each wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a persistent queen, with a worker that has answered once
    When a task for 4000 tokens streams
    And I run `rbee-keeper infer --prompt hi --max-tokens 1`
    Then it exits with 1
    And no line of standard error comes twice
    And standard error has these lines about waiting, and no others
      | line                                    |
      | ⏳ busy: trying again in 1 s (1 of 3)   |
      | ⏳ busy: trying again in 2 s (2 of 3)   |
      | ⏳ busy: trying again in 4 s (3 of 3)   |
    And the error is ALL_SLOTS_BUSY
    And standard error says "after 3 retries"

  @beyond
  Scenario: Ctrl+C while the waits are counted down
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a persistent queen, with a worker that has answered once
    When a task for 4000 tokens streams
    And I type `rbee-keeper infer --quiet --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "in 3 s"
    And I press Ctrl+C there
    Then it exits there with 130
    And the last line of the screen is "Canceled."

  @t001-42
  Scenario: EC7: loading stalls
    Given the setting worker.mmap is false
    And the setting hive.loading_stall_s is 2
    And a persistent queen
    When I type `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 --temperature 0` on a terminal
    And the worker is stopped while some of its layers are loaded and others are not
    Then it exits there with 1
    And the screen shows LOADING_TIMEOUT, and right below it the next step
    And the screen says "no progress for 2 s"
    And the screen says "in the state loading, stuck at"
    And the screen says how many of how many layers are loaded, as the worker last reported
    And the screen's next step says "rbee-keeper logs --node localhost"
    And the screen's next step says "raise [hive] loading_stall_s there"
    And the screen shows no bar
