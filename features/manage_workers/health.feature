Feature: The health of the workers, checked on request

  Background:
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once

  @t001-60 @cli
  Scenario: Each worker of a node
    Given left has one more worker
    When I run `rbee-keeper workers health --node left`
    Then it exits with 0
    And it shows both workers of left as healthy, each with the memory that its process holds
    And it shows no worker of right
    When I run `rbee-keeper workers health --node left --json`
    Then it exits with 0
    And the JSON on standard output has the same two, healthy

  @beyond
  Scenario: A worker that hangs
    When the worker on left is suspended
    And I run `rbee-keeper worker health`
    Then it exits with 1
    And it shows the worker of left as unreachable, and that of right as healthy
    And it took less than 8 s

  @beyond
  Scenario: A node without a hive, and an unknown node
    When I run `rbee-keeper worker health --node localhost`
    Then it exits with 0
    And standard output is empty
    And standard error says "No worker runs on localhost"
    When I run `rbee-keeper worker health --node nowhere`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
