@beyond
Feature: What a log line says, and which lines are kept

  Scenario: JSON, one object a line
    Given the setting log.format is "json"
    And a persistent queen
    When a task for 2 tokens is sent with the header X-Correlation-ID: json-lines-1
    Then every line that queen and hive have logged is JSON with time, level, logger, message and correlation_id
    And the line about "POST /v2/tasks" in the log of queen-rbee is from now, at level "info", by "http-server", with the id "json-lines-1"
    And the line about "POST /v1/workers/spawn" in the log of rbee-hive is from now, at level "info", by "http-server", with the id "json-lines-1"
    When I run `rbee-keeper logs --node localhost --lines 20 --json`
    Then it exits with 0
    And each line is told at the time that it says itself
    Given a key for laptop
    When laptop deletes a task that never was
    Then the line about "DELETE /v2/tasks/never" in the log of queen-rbee names the key laptop, and no other line a key

  Scenario Outline: The level decides which lines there are: <level>
    Given the setting log.level is "<level>"
    And a queen and a hive that an operator started
    When the queen is asked for its workers, and sent a task that it refuses
    Then its log has these levels: <there>
    And <gets> of its lines are about a GET

    Examples:
      | level   | there           | gets |
      | debug   | DEBUG and INFO  | some |
      | info    | INFO            | none |
      | warning | none            | none |

  Scenario: The files are their owner's alone, and those of the newest twenty workers are kept
    Given 25 workers have left a log, the first of them most recently
    And a persistent queen, with a worker that has answered once
    Then the log of this worker is kept, and those of the 20 that ended last, and no others
    And every log file can be read by its owner only

  Scenario: A hundred lines, unless a person says how many
    Given a worker has left a log of 300 lines
    And a persistent queen, with a worker that has answered once
    When I run `rbee-keeper logs --node localhost`
    Then it exits with 0
    And standard output has 100 lines
    And each of them begins with its program, or the worker, alone
    And queen and hive tell the last 100 lines to a client that names no number

  Scenario: Lines from before the request are marked, and can be left out
    Given the environment has TZ=LAB-9
    And a persistent queen, with a worker that has answered once
    When somebody follows the log of localhost from its last 5 lines on, and somebody else from now on
    And a task for 2 tokens is answered
    Then the first sees 5 lines marked as past, and then the same new lines as the other
    And every line names localhost, its source, and its time in order
