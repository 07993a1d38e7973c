@beyond
Feature: A worker reports its limits

  Scenario: A context that fills up
    Given a standalone worker with `--slots 2 --context 640`
    When it is asked for 5000 tokens
    Then the answer fills the 640 tokens of the context and ends with CONTEXT_FULL

  Scenario: A prompt that is longer than the context
    Given a standalone worker with `--slots 2 --context 64`
    When the worker is sent a prompt of 100 words
    Then the answer is 400 with the error PROMPT_TOO_LONG
    And it says how many tokens the prompt has, and that the context holds 64
    But a prompt of 63 tokens is answered, and one of 64 is refused
    And a text of 64 tokens is embedded, and one of 65 is refused

  Scenario Outline: No prompt ends a worker whose model splits texts as <family> does
    Given a standalone worker for <splits as <family>> with `--slots 2`
    When the worker is sent each of these prompts
      | text         | times  | is       |
      | a            | 26351  | answered |
      | a            | 400000 | refused  |
      | -            | 400000 | answered |
      | 漢           | 100000 | refused  |
      | <\|im_start\|> | 50000  | refused  |
    Then each is answered or refused with PROMPT_TOO_LONG, as it says there, within 15 s
    And the worker is the same process, and answers

    Examples:
      | family      |
      | gpt-4o      |
      | deepseek-v3 |

  Scenario: A context that others fill
    Given a standalone worker with `--slots 3 --context 256`
    When an answer of up to 200 tokens is under way
    And one of up to 100 more tokens is asked for
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And it says 3 slots in all and 1 busy, and names the context of 256
    When one of up to 20 more tokens is asked for
    Then it is answered with 20 tokens, beside the other
    When the other has ended
    And one of up to 100 more tokens is asked for
    Then it is answered with 100 tokens

  # One worker for all of them: each is refused before anything is computed.
  Scenario: Fields and their limits
    Given a standalone worker with `--slots 2`
    When the worker is asked with each of these values
      | field          | value                 | limit     | but                             |
      | temperature    | -0.1                  | 0         | 0                               |
      | temperature    | 5.1                   | 5         | 5                               |
      | max_tokens     | 0                     | 1         | 1                               |
      | max_tokens     | 1000001               | 1000000   | 4                               |
      | max_tokens     | 1.5                   | int       | 2                               |
      | max_tokens     | "many"                | int       | 3                               |
      | top_p          | 0                     | 0         | 0.01                            |
      | top_p          | 1.01                  | 1         | 1                               |
      | top_k          | -1                    | 0         | 0                               |
      | top_k          | 1000001               | 1000000   | 1000000                         |
      | min_p          | -0.1                  | 0         | 0                               |
      | min_p          | 1.1                   | 1         | 1                               |
      | repeat_penalty | 0                     | 0         | 0.1                             |
      | repeat_penalty | 10.1                  | 10        | 10                              |
      | presence_penalty  | -2.1               | -2        | -2                              |
      | presence_penalty  | 2.1                | 2         | 2                               |
      | frequency_penalty | -2.1               | -2        | -2                              |
      | frequency_penalty | 2.1                | 2         | 2                               |
      | logprobs       | -1                    | 0         | 0                               |
      | logprobs       | 21                    | 20        | 20                              |
      | logit_bias     | {"7": 100.5}          | 100       | {"7": 100}                      |
      | logit_bias     | {"-7": 1}             | ids       | {"7": -100}                     |
      | seed           | -1                    | 0         | 0                               |
      | seed           | 4294967295            | 429496729 | 4294967294                      |
      | stop           | "a"                   | array     | ["§§§", "§a", "§b", "§c", "§d"] |
      | ignore_eos     | "yes"                 | bool      | true                            |
      | cache_prompt   | 1                     | bool      | false                           |
      | keep_alive     | "soon"                | 10m       | "1h"                            |
      | request_id     | "a b"                 | A-Z       | "a-b_1"                         |
      | request_id     | "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | 64 | "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" |
      | stream         | false                 | true      | true                            |
      | prompt         | ""                    | 1         | "bees"                          |
    Then each is refused with INVALID_REQUEST, which names the field, its limit and the value
    And the values in the last column are accepted
    When the worker is asked with an unknown field
    Then it is refused with INVALID_REQUEST, which names that field
    When the worker is asked with a prompt and messages, and with neither
    Then both are refused with INVALID_REQUEST, which names the prompt

  Scenario: A request that runs keeps its id for itself
    Given a standalone worker with `--slots 2`
    When a request with the id "bee-1" is under way
    And another one is sent with the id "bee-1"
    Then the answer is 400 with the error INVALID_REQUEST
    And it names the field "request_id" and the value "bee-1"
    When the first one is deleted
    Then the id "bee-1" can be used again

  Scenario: How long a model is kept is told as the last request wished
    Given a standalone worker with `--slots 2`
    When it is asked in turn to stay for each of these times
      | keep_alive | seconds |
      | "10m"      | 600     |
      | null       |         |
      | 90         | 90      |
      | "2h"       | 7200    |
      | "0"        | 0       |
      | -1         | -1      |
      | "1d"       | 86400   |
      | "45s"      | 45      |
    Then its status tells those seconds each time
