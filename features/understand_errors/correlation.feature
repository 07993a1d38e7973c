@beyond
Feature: One correlation id leads from what a person sees to every log
  The keeper makes one correlation id for each command, and every program that works for the command
  logs under it. The whole trace comes with --debug.

  Scenario: The correlation id of an error is in the logs of queen, hive and worker
    Given a persistent queen
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And the worker is killed
    Then it exits with 1
    And the error is WORKER_CRASHED
    And the last line of standard error is its correlation id
    And the logs of queen-rbee, rbee-hive and llm-worker-rbee have lines with that correlation id
    And the log of queen-rbee has a line of its own with "POST /v2/tasks" and that correlation id
    And the log of rbee-hive has a line of its own with "POST /v1/workers/spawn" and that correlation id
    And the log of llm-worker-rbee has a line of its own with "POST /v1/inference" and that correlation id
    And the worker's log has what it loaded, with that correlation id

  Scenario: Each command has its own correlation id
    Given a persistent queen
    When I run `rbee-keeper infer --node attic --prompt hi`
    Then it exits with 1
    And the last line of standard error is its correlation id
    When I run `rbee-keeper infer --node attic --prompt hi`
    Then it exits with 1
    And the last line of standard error is another correlation id

  Scenario Outline: Where no program was asked there is no correlation id: <what>
    When I run `<command>`
    Then it exits with 2
    And it is a clear message with a next step
    And standard error names no correlation id

    Examples:
      | what                 | command                                      |
      | an unknown option    | rbee-keeper infer --promt hi                 |
      | an unknown command   | rbee-keeper models lst                       |
      | a value out of range | rbee-keeper infer --prompt hi --max-tokens 0 |

  Scenario: Where no program answered there is no correlation id
    Given the setting queen.url is "http://192.0.2.1:8080"
    And the setting times.connect_s is 0.5
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And the error is CONNECTION_TIMEOUT
    And standard error names no correlation id

  Scenario: A canceled command is not an error
    Given a persistent queen, with a worker that has answered once
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error names no correlation id

  Scenario: The debug trace of an error
    Given a persistent queen
    When I run `rbee-keeper --debug infer --prompt hi --model <missing>`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And standard output is empty
    And the debug trace has "GET /health" and "POST /v2/tasks", each with its status and time
    And the debug trace has lines of queen-rbee.log and rbee-hive.log with that correlation id
    And the debug trace has the chain of exceptions
    And the debug trace has no key
    When I run `rbee-keeper infer --prompt hi --model <missing>`
    Then it exits with 1
    And there is no debug trace

  Scenario: The debug trace of an answer
    When I run `rbee-keeper infer --debug --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    And standard output holds the story and nothing else
    And the debug trace has "POST /v2/tasks" and "DELETE /v2/hold/owner", each with its status and time
    And the debug trace shows when the first of 20 tokens came, and when the end
    And the debug trace has no key
    And nothing is running
