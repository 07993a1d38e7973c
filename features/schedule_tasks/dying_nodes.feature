@beyond @scheduling
Feature: What a node leaves behind is done by the others

  Scenario: A node dies while three tasks run on it and ten wait for it
    Given the setting worker.slots is 1
    And the node attic
    And on attic the setting worker.slots is 3
    And a hive that an operator started on attic
    And attic has been added by its hive's address
    And a persistent queen
    When 3 tasks stream on attic, and 10 more wait for any node
    And the operator's hive on attic is killed
    Then the 3 end with the error WORKER_CRASHED, which names attic
    And the 10 are answered on localhost, each once
