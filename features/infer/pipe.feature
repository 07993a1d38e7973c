@beyond
Feature: A reader that goes away ends the work, quietly
  `| head -1` has what it wanted. Whatever was started ends, the request is canceled, nothing is
  said about it, and the exit code is what a shell shows for any program whose reader has gone.

  Scenario Outline: <what> and no more
    When I run in a shell `rbee-keeper infer --quiet <flags> --prompt "write a long story" --temperature 0 --ignore-eos --max-tokens 6000 | <reader>; exit ${PIPESTATUS[0]}`
    Then it exits with 141
    And it took less than 30 s
    And standard error is empty
    And standard output is one <what>
    And nothing is running

    Examples:
      | what       | flags  | reader     |
      | line       |        | head -1    |
      | event      | --json | head -1    |
      | few bytes  |        | head -c 20 |

  Scenario: A reader that goes away while the hive is starting
    Given a worker's command that obeys nothing but SIGKILL
    When I run in a shell `rbee-keeper infer --quiet --json --prompt hi | head -1; exit ${PIPESTATUS[0]}`
    Then it exits with 141
    And standard output is one event
    And nothing is running

  Scenario: Under a persistent queen the request is canceled
    Given a persistent queen, with a worker that has answered once
    When I run in a shell `rbee-keeper infer --prompt "write a long story" --ignore-eos --max-tokens 6000 | head -c 20; exit ${PIPESTATUS[0]}`
    Then it exits with 141
    And standard error has nothing but the narration
    And the worker becomes idle
    And queen, hive and worker are still the same processes

  Scenario: A reader that goes away while the model is loading
    Given the setting worker.mmap is false
    When I run in a shell `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 | true; exit ${PIPESTATUS[0]}`
    Then it exits with 141
    And standard error has nothing but the narration
    And standard error says nothing of "is loaded"
    And nothing is running

  Scenario: Standard output is full
    When I run in a shell `rbee-keeper infer --prompt "write a long story" --ignore-eos --max-tokens 6000 > /dev/full`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And it is a clear message with a next step
    And nothing is running

  Scenario: Nobody reads standard error
    When I run in a shell `rbee-keeper infer --prompt "write a short story" --temperature 0 --max-tokens 20 2> >(true)`
    Then it exits with 0
    And standard output holds the story and nothing else
    And nothing is running
