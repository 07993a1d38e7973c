@beyond @scheduling
Feature: Models that do not fit into memory together take turns
  An idle worker is ended for a model that has no room, and started again when somebody asks for its
  model. Requests for the loaded model go first, but not for longer than a patience that can be set.

  Background:
    Given the setting worker.context is 2048
    And the setting worker.slots is 1
    And the bundled model is on the disk as a, b, c and d

  Scenario: The worker that has been idle for the longest time is ended, and none that is pinned
    Given a graphics card that has room for 3 workers
    And a persistent queen
    When somebody asks a, b, c and b in turn, the first with keep_alive -1
    Then the hive lists the worker of a alone as pinned, and what its card gets back of each
    When 2 s later somebody asks d, and then b
    Then the worker of c was ended for d, as it was told, and b has the same worker as before
    And the queen's metrics count 1 swap, 1 eviction and 0 replicas

  Scenario: Requests for the loaded model go first
    Given a graphics card that has room for 1 worker
    And a persistent queen
    When a task for a streams, and tasks for b, a, b and a wait, one after the other
    And the task that streams is deleted
    Then the waiting ones are answered in the order a, a, b, b
    And the queen's metrics count 1 swap, 1 eviction and 0 replicas

  Scenario Outline: Nobody waits for a swap longer than the patience
    Given a graphics card that has room for 1 worker
    And the setting queen.swap_patience_s is <patience>
    And a persistent queen
    When a task for a streams, and tasks for b, a and a wait, one after the other
    And <later> s later the task that streams is deleted
    Then the waiting ones are answered in the order b, a, a
    And the queen's metrics count 2 swaps, 2 evictions and 0 replicas

    Examples: A worker that has just been started serves the one it was started for, whoever waits
      | patience | later |
      | 2        | 3     |
      | 0        | 0     |

  Scenario: A node refuses a model that nobody knew to be too large
    Given a graphics card that has room for 1 worker
    And a person keeps the bundled model at <home>/elsewhere.gguf
    And a persistent queen
    When somebody asks a and file:<home>/elsewhere.gguf in turn
    Then the worker of a was ended for file:<home>/elsewhere.gguf, as it was told

  Scenario: An idle worker ends for one that a person starts
    Given a graphics card that has room for 1 worker
    And a persistent queen
    When somebody asks a in turn
    And I run `rbee-keeper worker start --model hf:lab/b/b.gguf --node localhost`
    Then it exits with 0
    And standard error says "making room: ending worker-"
    And standard error says "(hf:lab/a/a.gguf) on localhost, idle for "
    And the hive has one worker, of b
    When a task for b streams
    And I run `rbee-keeper worker start --model hf:lab/c/c.gguf --node localhost`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And the hive has one worker, of b
    When the task that streams is deleted
    And I run `rbee-keeper worker start --model hf:lab/c/c.gguf --node localhost --force`
    Then it exits with 0
    And the hive has 2 workers, of b and c

  Scenario: A worker that answers is not ended by somebody who wants an idle one ended
    Given a persistent queen
    When a task for a streams
    And the hive is asked to end that worker only if it is idle
    Then the answer is 409 with the error MODEL_IN_USE
    And it names that worker and its model, and the task still streams
    When the task that streams is deleted
    And the hive is asked to end that worker only if it is idle
    Then the answer is 200, and the worker is gone
