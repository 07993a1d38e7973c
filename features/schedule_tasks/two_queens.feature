@beyond @scheduling
Feature: Two queens share a node
  Two people of a home lab have a queen each, with a HOME and keys of its own. Both use the hive that
  an operator started on one node, and neither knows of the other.

  Background:
    Given the node attic

  Scenario: Both are answered, no slot is sold twice, and each tells what is so
    Given on attic the setting worker.slots is 2
    And on attic the setting worker.context is 8192
    And a hive that an operator started on attic
    And attic has been added by its hive's address
    And a persistent queen
    And another queen, of somebody else who has added attic too
    When each queen has a long answer of attic that streams, the other after the first
    And each queen is asked for 3 short answers of attic
    Then each queen lists its own tasks only, and why 3 of them wait: "all 2 slots are busy"
    And each queen lists the only worker of attic as its hive does, with 2 busy slots
    And the metrics of the first queen have the age of what attic told, and of nothing else
    When the long answers are deleted
    Then all 6 are answered, and never more than 2 at the same moment
    And attic has the same worker as before

  Scenario: A hive that another queen has started is left to that queen
    Given a hive that another queen has started here, with the same key
    When somebody watches the hive's events
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And localhost answered
    And standard error names the owner of that hive, and says "starting another one"
    And that hive told of no worker, and still runs

  Scenario: A hive that was cut off from its queen gives way to another one
    Given a persistent queen
    And a hive that this queen has started here, and from which it was cut off
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And localhost answered
    And standard error says "ending the hive at http://<hive address>:9200, which was cut off from its queen"
    And that hive has exited with 0, and the queen has started another one

  Scenario: The node is full, and neither takes the other's worker down
    Given a graphics card on attic that has room for 1 worker
    And on attic the setting worker.slots is 1
    And on attic the setting worker.context is 2048
    And the bundled model is on the disk of attic too, as a
    And the bundled model is on the disk of attic too, as b
    And a hive that an operator started on attic
    And attic has been added by its hive's address
    And a persistent queen
    And another queen, of somebody else who has added attic too
    When the first queen has a long answer of a on attic that streams
    And the other queen is asked for a short answer of b on attic
    Then the other queen says why it waits: "workers of other models have the memory"
    And attic has the same worker as before, and the long answer still streams
    When the long answer is deleted
    Then the other queen is answered by a worker of b, for which it ended that of a
    When the other queen is ended by its person
    And the first queen is asked for a short answer of b on attic
    Then the worker that the other queen has started answers
