Feature: Before the work starts, the queen checks what is there

  @t001-09
  Scenario: No worker is registered
    Given a queen and a hive that an operator started
    When the hive is asked for its workers
    Then the reply is exactly {"workers": []}
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the phases are shown in order, "pool preflight" right after "worker registry"

  @t001-10
  Scenario: An idle worker with the model is used at once
    Given a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And the same worker answered
    And "model provisioning" is shown as skipped
    And nothing was spawned
    And the hive reported nothing but the states of that worker, and the facts of its node

  @beyond
  Scenario: Of two workers with the model, the idle one answers
    Given a queen and a hive that an operator started
    And the hive has 2 workers
    When an answer is asked for while the first is busy, and one while the second is
    Then each time the other one answered

  @t001-11
  Scenario: A worker with the model has no free slot, and no request may wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a hive and a queen that an operator started, with a proxy between queen and node
    When I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And somebody else keeps the worker's slot busy
    And somebody watches the hive's events
    And I run `rbee-keeper infer --prompt hi --max-tokens 1`
    Then it exits with 1
    And the error is ALL_SLOTS_BUSY
    And that worker was asked 4 times, with 1, 2 and 4 s in between, and answered 503 each time
    And nothing was spawned
    And the hive reported nothing but the states of that worker, and the facts of its node
    And it is a clear message with a next step

  @t001-12 @B5.2
  Scenario: The hive reports its health
    Given a queen and a hive that an operator started
    When the hive is asked for its health
    Then the reply is 200 with status "alive", api_version "v1" and the version of `rbee-hive --version`
    And the process that answered is the hive that was started
