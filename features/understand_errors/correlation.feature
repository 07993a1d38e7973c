@beyond
Feature: One mark leads from what a person sees to every log
  The keeper makes one correlation id for each command, and every program that works for the command
  logs under it. Who wants the whole trail says --debug.

  Scenario: The mark of an error stands in the logs of queen, hive and worker
    Given a queen that lasts
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And somebody notes the pids of queen, hive and worker
    And the worker is killed
    Then it exits with 1
    And WORKER_CRASHED is told
    And the last line of standard error is its correlation id
    And the logs of queen-rbee, rbee-hive and llm-worker-rbee have lines with that correlation id
    And among them are "POST /v2/tasks", "POST /v1/workers/spawn" and "POST /v1/inference"
    And the worker's log has what it loaded, with that correlation id

  Scenario: Each command has a mark of its own
    Given a queen that lasts
    When I run `rbee-keeper infer --node attic --prompt hi`
    Then it exits with 1
    And the last line of standard error is its correlation id
    When I run `rbee-keeper infer --node attic --prompt hi`
    Then it exits with 1
    And the last line of standard error is another correlation id

  Scenario Outline: Where no program was asked there is no mark: <what>
    When I run `<command>`
    Then it exits with 2
    And it is a clear message with a next step
    And standard error names no correlation id

    Examples:
      | what                 | command                                      |
      | an unknown option    | rbee-keeper infer --promt hi                 |
      | an unknown command   | rbee-keeper models lst                       |
      | a value out of range | rbee-keeper infer --prompt hi --max-tokens 0 |

  Scenario: Canceled is no error
    Given a queen that lasts, with a worker that has answered once
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error names no correlation id

  Scenario: The trail of an error
    Given a queen that lasts
    When I run `rbee-keeper --debug infer --prompt hi --model <missing>`
    Then it exits with 1
    And MODEL_NOT_FOUND is told
    And standard output is empty
    And the trail has "GET /health" and "POST /v2/tasks", each with its status and time
    And the trail has lines of queen-rbee.log and rbee-hive.log with the correlation id that was told
    And the trail has the chain of exceptions
    And the trail has no key
    When I run `rbee-keeper infer --prompt hi --model <missing>`
    Then it exits with 1
    And there is no trail

  Scenario: The trail of an answer
    When I run `rbee-keeper infer --debug --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    And standard output holds the story and nothing else
    And the trail has "POST /v2/tasks" and "DELETE /v2/hold/owner", each with its status and time
    And the trail tells when the first of 20 tokens came, and when the end
    And the trail has no key
    And nothing is running
