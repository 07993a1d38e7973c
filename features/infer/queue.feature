@beyond
Feature: Requests wait for a free slot, and the first that came is served first
  Who waits is told the place in the queue, and each time that it changes.

  Scenario: Four wait, and one of them goes away
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 4
    And a persistent queen, with a worker that has answered once
    When a task for 4000 tokens streams
    And the tasks first and second wait in the queue
    And I start `rbee-keeper infer --json --prompt hi --max-tokens 30 --ignore-eos`
    And the keeper waits in the queue
    And the task last waits in the queue
    Then they are told the places 1 of 1, 2 of 2, 3 of 3 and 4 of 4
    And the queen counts 5 tasks, 4 of them waiting, of 4 that may
    When one more task is sent
    Then the answer is the error QUEUE_FULL
    And it says 1 slot in all and 1 busy, and 4 waiting
    When the task second is deleted
    Then the task second ends with the error REQUEST_CANCELED and [DONE]
    When that task is deleted
    Then all that waited are answered, in the order in which they came
    And the task last was told its places: 4 of 4, 3 of 3, 2 of 2, 1 of 1
    And the person saw the places: 3 of 3, 2 of 3, 1 of 2
    And nobody was told the same place twice in a row
    And nobody waits in the queue
    When the tasks first and second are deleted once more
    Then both are answered with 204

  Scenario: A slot that somebody else leaves is not left empty
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When somebody asks that worker itself for 4000 tokens
    And a task waits in the queue
    And a person asks, and is told to wait for the first time
    And that somebody goes away
    Then the task in the queue is answered within 3 s
    And the person is answered too, after no more than 3 waits
