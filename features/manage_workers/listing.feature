Feature: Which workers there are

  @t001-59 @cli
  Scenario: Two nodes, each with its worker and its state
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once
    When the worker on left is busy with a long answer
    And I run `rbee-keeper workers list`
    Then it exits with 0
    And it lists the worker of left as busy and that of right as idle, and no other
    And 3 of 4 slots are free on left, and 4 of 4 on right
    When I run `rbee-keeper workers list --json`
    Then it exits with 0
    And the JSON on standard output is what the hives say of their workers
    When I run `rbee-keeper pool worker --host <left address>`
    Then it exits with 0
    And its only row is the worker of left, busy, with 3 of 4 slots free, and its address

  @beyond
  Scenario: The workers of one node
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once
    When I run `rbee-keeper ps --node right`
    Then it exits with 0
    And it lists the worker of right as idle, and no other

  @beyond
  Scenario Outline: A node whose hive refuses the key is not listed as empty
    Given the node workstation
    And a hive that an operator started on workstation
    And workstation has been added by its hive's address, with a copy of its key
    And the hive of workstation gets another key, and is started again
    When I run `rbee-keeper <command> --node workstation`
    Then it exits with 1
    And the error is INVALID_API_KEY
    And standard error says "add-node --name workstation"
    And standard output is empty
    When I run `rbee-keeper hive status --node workstation`
    Then it exits with 1
    And standard output says "unreachable"
    And standard error says "key"

    Examples:
      | command       |
      | worker list   |
      | worker health |

  @beyond
  Scenario: A node that does not answer is not listed as empty
    Given the added node workstation
    And the setting times.connect_s is 0.5
    And workstation's SSH server is mute
    When I run `rbee-keeper worker list --node workstation`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "workstation.home.arpa"
    And standard output is empty

  @beyond
  Scenario: No workers, and no queen
    When I run `rbee-keeper worker list`
    Then it exits with 0
    And standard output is empty
    And standard error says "rbee-keeper worker start"
    And nothing is running
    When I run `rbee-keeper worker list --json`
    Then it exits with 0
    And standard output is exactly []
