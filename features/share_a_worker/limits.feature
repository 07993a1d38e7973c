@beyond
Feature: A worker reports its limits

  Scenario: A context that fills up
    Given a standalone worker with `--slots 2 --context 64`
    When it is asked for 500 tokens
    Then the answer fills the 64 tokens of the context and ends with CONTEXT_FULL

  Scenario: A prompt that is longer than the context
    Given a standalone worker with `--slots 2 --context 64`
    When the worker is sent a prompt of 100 words
    Then the answer is 400 with the error PROMPT_TOO_LONG
    And it says how many tokens the prompt has, and that the context holds 64

  # One worker for all of them: each is refused before anything is computed.
  Scenario: Fields and their limits
    Given a standalone worker with `--slots 2`
    When the worker is asked with each of these values
      | field          | value                | but      |
      | temperature    | -0.1                 | 0        |
      | temperature    | 5.1                  | 5        |
      | max_tokens     | 0                    | 1        |
      | max_tokens     | 1.5                  | 2        |
      | max_tokens     | "many"               | 3        |
      | top_p          | 0                    | 0.01     |
      | top_p          | 1.01                 | 1        |
      | top_k          | -1                   | 1        |
      | min_p          | 1.1                  | 0.1      |
      | repeat_penalty | 0                    | 1.1      |
      | seed           | -1                   | 1        |
      | stop           | ["a","b","c","d","e"] | ["§§§"]  |
      | ignore_eos     | "yes"                | true     |
      | prompt         | ""                   | "bees"   |
    Then each is refused with INVALID_REQUEST, which names the field, its limit and the value
    And the values in the last column are accepted
    When the worker is asked with an unknown field
    Then it is refused with INVALID_REQUEST, which names that field
