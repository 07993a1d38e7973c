@beyond @scheduling
Feature: Every node can be seen at once
  The queen knows what its nodes have without asking them, and shows it, once or as it changes.

  Scenario: What the queen shows of its nodes is what they have, and no node is asked for it
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 1 MB a second
    And a hive and a queen that an operator started, with a proxy between queen and node
    When I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    When a detached download of hf:lab/small/small.gguf is asked for
    And the queen has told that some of it has come
    And I run `rbee-keeper nodes --json`
    Then it exits with 0
    And the JSON shows this machine with its memory, disk and worker, and that download, as its hive tells them
    And meanwhile the node was asked for nothing
    And the queen's metrics tell how old that is
    And the metrics of queen and hive tell the memory of their own process
    When I run `rbee-keeper nodes`
    Then it exits with 0
    And standard output shows the same in lines, for a person
    When the hive hangs, and what it has told is a second old
    And I run `rbee-keeper nodes`
    Then it exits with 0
    And standard output says how long ago that was told
    When the hive goes on

  Scenario: They are watched on a terminal and in a pipe
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    When I start `rbee-keeper nodes --watch`
    And I start the same with --json
    And I type `rbee-keeper nodes --watch` on a terminal of 100 columns
    Then the terminal shows "idle, 1 of 1 slots free"
    When a task for 8000 tokens streams
    Then the terminal shows "busy, 0 of 1 slots free"
    And so do both pipes
    When the tasks first and second wait in the queue
    Then the terminal shows "2 tasks wait for a slot"
    When the task second is deleted
    Then the terminal shows "1 task waits for a slot"
    When the terminal is made 40 columns wide
    Then no line there is wider than 40 columns, and the seconds go on
    When I press Ctrl+C there
    Then it exits there with 130
    And nothing is left on the terminal
    And the pipe got everything each time that the worker or the queue had changed, and only then
    And the JSON in the pipe says the same
