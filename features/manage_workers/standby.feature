@beyond
Feature: The next worker's process is ready before anybody asks for it
  A standby worker has imported what it needs and waits, without a model, for its arguments.

  Scenario: One waits beside every hive, and --all shows it
    When I run `rbee-hive daemon --show-settings`
    Then it exits with 0
    And it shows hive.standby_workers as 1
    Given a queen and a hive that an operator started
    And 1 standby worker waits
    When I run `rbee-keeper worker list --all`
    Then it exits with 0
    And it lists the standby worker, on localhost, with the memory that its process holds
    And the standby worker holds at most 75 MB
    When I run `rbee-keeper worker list --all --json`
    Then it exits with 0
    And the JSON on standard output has the standby worker, and no other
    When I run `rbee-keeper worker list`
    Then it exits with 0
    And standard output is empty

  Scenario: It becomes the worker, and another one takes its place
    Given a hive that an operator started
    And 1 standby worker waits
    When the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0 with 2 slot
    Then the worker is the process that waited
    And the worker's command line is that of a worker that was started with a model
    And the only worker is idle, with the model bundled:smollm2-135m-instruct, on cpu 0
    And 1 standby worker waits
    And it was started some 3 s after the worker had become idle

  Scenario: Two requests at once
    Given a hive that an operator started
    And 1 standby worker waits
    When the hive is asked for 2 workers at the same time
    Then each of the 2 answers with 5 tokens
    And one of the workers is the process that waited, and the other is not

  Scenario: It is killed
    Given a hive that an operator started
    And 1 standby worker waits
    When the standby worker is killed
    And the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0 with 2 slot
    Then the worker is not the process that waited
    And the only worker is idle, with the model bundled:smollm2-135m-instruct, on cpu 0
    And 1 standby worker waits

  Scenario: Without standby workers
    Given the setting hive.standby_workers is 0
    And a hive that an operator started
    When the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0 with 2 slot
    Then the only worker is idle, with the model bundled:smollm2-135m-instruct, on cpu 0
    And no standby worker was started, nor is within 5 s

  Scenario: As many as the setting says
    Given the setting hive.standby_workers is 3
    And a hive that an operator started
    Then 3 standby workers wait

  Scenario Outline: It ends with its hive, however that ends
    Given a queen and a hive that an operator started
    And 1 standby worker waits
    When the hive <end>
    Then no standby worker is left after 2 s

    Examples:
      | end             |
      | gets SIGTERM    |
      | dies of SIGKILL |
      | gets SIGINT     |

  Scenario: It ends with the whole line of owners
    Given a persistent queen, with a worker that has answered once
    And 1 standby worker waits
    When the queen is killed
    Then nothing is running after 5 s

  Scenario: The worker that it became obeys the idle limit
    Given the setting hive.idle_timeout_s is 1
    And a hive that an operator started
    And 1 standby worker waits
    When the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0 with 2 slot
    Then the worker is the process that waited
    And the hive lists no worker after 10 s
    And the process that waited has ended

  Scenario: A hive that was got ready in vain ends with its queen
    When I run `rbee-keeper infer --model nothing-of-that-name --prompt hi`
    Then it exits with 1
    And the error is INVALID_MODEL_REF
    And nothing is running
