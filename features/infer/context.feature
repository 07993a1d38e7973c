@beyond
Feature: How much context a model gets for a question
  A worker's context is fixed when it starts. Who needs more gets another worker.

  Scenario: More context than the worker has that runs
    Given the setting worker.context is 256
    And a persistent queen, with a worker that has answered once
    When I run `rbee-keeper infer --prompt hi --ignore-eos --max-tokens 400`
    Then it exits with 0
    And standard error says "tokens/s · stopped because the context is full"
    When I run `rbee-keeper infer --context 1024 --prompt hi --max-tokens 2`
    Then it exits with 0
    And standard error says "holds bundled:smollm2-135m-instruct with 1024 tokens of context"
    And the hive lists workers with 256 and 1024 tokens of context
    When I run `rbee-keeper infer --context 512 --prompt hi --max-tokens 2`
    Then it exits with 0
    And the hive lists workers with 256 and 1024 tokens of context
    When I run `rbee-keeper infer --context 2048 --explain --quiet --prompt hi --max-tokens 2`
    Then it exits with 0
    And standard error says "[queen-rbee] 🧭 placement: localhost"
    And the hive lists workers with 256, 1024 and 2048 tokens of context

  Scenario Outline: More context than the model was trained for: <command>
    When I run `rbee-keeper <command> --context <context>`
    Then it exits with <code>
    And the error is INVALID_REQUEST
    And standard error says "<words>"
    And it is a clear message with a next step

    Examples:
      | command                                            | context | code | words                                                                                 |
      | infer --prompt hi                                  | 9999999 | 1    | --context: bundled:smollm2-135m-instruct was trained for contexts of at most 8192     |
      | worker start --model bundled:smollm2-135m-instruct | 8193    | 1    | --context: bundled:smollm2-135m-instruct was trained for contexts of at most 8192     |
      | infer --prompt hi                                  | 10      | 2    | --context must be a whole number from 64 to 16777216, got 10.                         |
