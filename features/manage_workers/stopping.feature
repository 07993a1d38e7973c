Feature: A worker is told to stop

  @t001-61 @cli
  Scenario: By its id
    Given a persistent queen, with a worker that has answered once
    And the worker's id is noted as <id>
    And somebody watches the wire
    When the worker's ending is watched
    And somebody watches the hive's events
    And I run `rbee-keeper workers shutdown --id <id>`
    Then it exits with 0
    And the worker is gone after 0 s
    And standard output says "<id> on localhost has ended"
    And the kernel says that it exited with 0
    And the hive reported that the worker is gone, with exit code 0: it was told to end
    And the hive sent that worker POST /v1/admin/shutdown, once, and it answered 202
    And the hive is still the same process and lists no worker

  @beyond
  Scenario Outline: On another node, by <what>
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once
    And the workers' ids are noted
    When I run `rbee-keeper worker stop --id <name>`
    Then it exits with 0
    And the worker of right is gone, and that of left is not

    Examples:
      | what                               | name                     |
      | its id                             | <worker of right>        |
      | the beginning of its id            | <beginning of right>     |
      | the beginning without worker-      | <few letters of right>   |

  @beyond
  Scenario: A name that two workers share
    Given a persistent queen, with a worker that has answered once
    And the hive has 2 workers
    When I run `rbee-keeper worker stop --id worker-`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error names both workers
    And the hive still has two workers
    When I run `rbee-keeper worker stop smollm2`
    Then it exits with 0
    And the hive lists no worker after 10 s

  @beyond
  Scenario: A name that is too short
    Given a persistent queen, with a worker that has answered once
    And the first 3 letters of the worker's id are noted as <three>
    When I run `rbee-keeper worker stop --id <three>`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And the next step says "more of its id"
    And queen, hive and worker are still the same processes

  @beyond
  Scenario: A name that no worker has
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper worker stop --id worker-of-yesterday`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And the next step says "rbee-keeper worker list"
    When the hive is sent POST /v1/workers/shutdown {"worker_id": "worker-of-yesterday"}
    Then the answer is 404 with the error INVALID_REQUEST
    And it names the field worker_id
    And queen, hive and worker are still the same processes
    When I run `rbee-keeper stop smollm2`
    Then it exits with 0
    And the hive lists no worker after 10 s
