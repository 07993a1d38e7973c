@beyond
Feature: A program whose owner is gone ends, whatever else holds it
  A lifeline is a pipe, and a pipe is open as long as any process has its end.

  Scenario: Somebody else holds the lifeline of a worker open
    Given a persistent queen, with a worker that has answered once
    And somebody else holds the lifeline of the worker open
    When the hive is killed
    Then the hive and worker are gone after 3 s

  Scenario: Somebody else holds the lifeline of a hive open
    Given a persistent queen, with a worker that has answered once
    And somebody else holds the lifeline of the hive open
    When the queen is killed
    Then the queen, hive and worker are gone after 4 s

  Scenario: Somebody else holds the standby worker's lifeline open
    Given a queen and a hive that an operator started
    And 1 standby worker waits
    And somebody else holds the standby worker's lifeline open
    When the hive dies of SIGKILL
    Then no standby worker is left after 2 s

  Scenario: A hive is killed while its worker answers
    The worker has a grace period only if its owner asks it to end.
    Given a persistent queen, with a worker that has answered once
    And the worker itself is asked to infer without an end
    When the hive is killed
    Then that answer breaks off within 2 s
    And the hive and worker are gone after 4 s
