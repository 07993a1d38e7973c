@beyond @scheduling
Feature: A worker that dies before the first token costs nobody an answer
  Nobody has seen anything of the answer yet, so another worker gives it. But a request that ends
  those that read it must not end one after the other.

  Scenario: The worker is killed while a long prompt is read
    Given a persistent queen, with a worker that has answered once
    When a task with a prompt of 1500 words is read
    And the worker is killed
    Then the whole answer comes once, from another worker on localhost
    And the task has told that the first has just gone, "before it had answered (it was ended by signal 9)"
    And the queen's metrics have one wait for each of the two tasks

  Scenario: The hive is killed while a long prompt is read
    Given a persistent queen, with a worker that has answered once
    When a task with a prompt of 1500 words is read
    And the hive is killed
    Then the whole answer comes once, from another worker on localhost
    And the task has told that the first has just gone

  Scenario: A node dies while it reads a long prompt
    Given the node attic
    And a hive that an operator started on attic
    And attic has been added by its hive's address
    And a persistent queen
    And attic has answered a task
    When a task with a prompt of 1500 words is read
    And the operator's hive on attic is killed
    Then the whole answer comes once, from another worker, on localhost and not on attic

  Scenario: A prompt that ends the workers that read it
    Given a persistent queen, with a worker that has answered once
    When a task with a prompt of 1500 words is read
    And the worker is killed
    And another worker reads it, and is killed too
    Then the stream ends with the error WORKER_CRASHED and [DONE]
    And it names the second worker, 0 of 8 tokens, and signal 9
    And it says that two have ended with this request, with its model and its length
    And the hive is still the same process and lists no worker
