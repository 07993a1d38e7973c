Feature: Exit code 0 means that the answer is complete
  A stream that merely ends is a failure. 0 takes both the `done` event and `[DONE]`.

  Background:
    Given a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    And the setting times.stream_silence_s is 3

  @beyond
  Scenario: A whole stream through the proxy
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    And standard error ends with a summary of 20 tokens

  # One worker for all of them: each must leave the next one a queen that works.
  @beyond
  Scenario: A stream that breaks off
    When an answer of 20 tokens is asked for with each of these faults on its way
      | fault     | before | number | tokens | least_s | most_s |
      | ends      | token  | 6      | 5      | 0       | 10     |
      | resets    | token  | 6      | 5      | 0       | 10     |
      | is silent | token  | 6      | 5      | 3       | 10     |
      | ends      | done   | 1      | 20     | 0       | 10     |
      | ends      | [DONE] | 1      | 20     | 0       | 10     |
      | loses     | done   | 1      | 20     | 0       | 10     |
    Then each exits with 1 and STREAM_TRUNCATED, saves the text so far, and shows no summary
    And each says how many of 20 tokens came, and took as long as it says there

  @beyond
  Scenario: A program learns how much came
    Given the proxy ends before token number 6
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 1
    And the stream ended with the error STREAM_TRUNCATED and without "done"
    And its details are those of 5 tokens, as many as were printed

  @beyond
  Scenario: An error event
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And somebody else cancels that request
    Then it exits with 1
    And the stream ended with the error REQUEST_CANCELED and without "done"

  @t001-39
  Scenario: A worker that dies
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And the worker is killed
    Then it exits with 1
    And the error is WORKER_CRASHED
    And the error names that worker and localhost, and how many of 2000 tokens came: exactly those
    And exactly those are saved under the id of the request, readable only by its owner
