@beyond @scheduling
Feature: Who waits for what can be seen, and ended
  The queen says which tasks wait and run, since when and why, and remembers its last decisions.

  Background:
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for laptop
    And a key for phone
    When a task of laptop for 6000 tokens streams
    And these wait in the queue, one after the other: laptop, phone, phone

  Scenario: The list of tasks tells what each task was told
    When I run `rbee-keeper queue list --all --json`
    Then it exits with 0
    And the JSON lists the task that runs, with its worker, then those that wait by their positions, with key, model, time and reason
    When they have waited for 2 s, and I run `rbee-keeper queue list`
    Then it exits with 0
    And standard output has a row for each that waits, by their positions, and no other
    When phone runs `rbee-keeper queue list --json`
    Then it exits with 0
    And the JSON lists the tasks of phone, and no others

  Scenario: Tasks are canceled by their id, and by their key
    When phone runs `rbee-keeper queue cancel` with the id of the task of laptop that waits
    Then it exits with 1
    And the error is INVALID_REQUEST
    And the next step says "rbee-keeper queue list --all"
    When I run `rbee-keeper queue cancel` with the end of the id of the task of laptop that streams
    Then it exits with 1
    And the error is INVALID_REQUEST
    When I run `rbee-keeper queue cancel --key phone`
    Then it exits with 0
    And standard output names each task of phone as canceled, and no other
    And what phone followed ends within 5 s with the error REQUEST_CANCELED and [DONE]
    When I run `rbee-keeper queue cancel` with the beginning of the id of the task of laptop that streams
    Then it exits with 0
    And the task of laptop that waited is answered
    And the queen's metrics have the time that it waited, in its bucket
    When I run `rbee-keeper queue list --all`
    Then it exits with 0
    And standard output is empty
    And standard error says "No task runs or waits."

  Scenario: Why a task waited, and where it went
    When I run `rbee-keeper queue cancel --all`
    Then it exits with 0
    When a task of phone for 2 tokens streams
    And I run `rbee-keeper queue why` with the id of that task
    Then the JSON says that it was placed at the worker of this machine, since it is loaded, and when
    When I run `rbee-keeper queue why` with the id of the first task of phone
    Then the JSON says that it waits, since the only slot is busy, and when
    Given the environment has TZ=LAB-9
    When a task of phone for 2 tokens streams
    And I run `rbee-keeper queue why` with the id of that task, for a person
    Then standard output has a row where it was placed, with node, worker and the time 9 hours ahead of UTC
    And the queen's metrics count 4 tasks that were accepted, and the decisions of each outcome
