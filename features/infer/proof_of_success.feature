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

  @beyond
  Scenario Outline: A stream that <fault> before <event> number <count>
    Given the proxy <fault> before <event> number <count>
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 1
    And the error is STREAM_TRUNCATED
    And the text so far is saved, readable only by its owner
    And there is no summary

    Examples:
      | fault     | event  | count |
      | ends      | token  | 6     |
      | resets    | token  | 6     |
      | is silent | token  | 6     |
      | ends      | done   | 1     |
      | ends      | [DONE] | 1     |
      | loses     | done   | 1     |

  @beyond
  Scenario: An error event
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And somebody else cancels that request
    Then it exits with 1
    And the stream ended with the error REQUEST_CANCELED and without "done"
