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
      | fault     | before | number |
      | ends      | token  | 6      |
      | resets    | token  | 6      |
      | is silent | token  | 6      |
      | ends      | done   | 1      |
      | ends      | [DONE] | 1      |
      | loses     | done   | 1      |
    Then each exits with 1 and STREAM_TRUNCATED, saves the text so far, and shows no summary

  @beyond
  Scenario: An error event
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And somebody else cancels that request
    Then it exits with 1
    And the stream ended with the error REQUEST_CANCELED and without "done"
