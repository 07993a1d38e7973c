@beyond
Feature: A prompt's beginning that is cached is not read twice
  The worker keeps what it has read. A request with the same beginning gets its first token
  sooner, and `cached_tokens` says how much was cached.

  Background:
    Given a standalone worker with `--slots 4`

  Scenario: The same long prompt twice
    When a prompt of 300 words is answered
    Then none of it was cached
    And the KV cache holds the prompt and the answer
    When it is answered again
    Then all but a few of its tokens were cached
    And each token is still one that the model would have chosen
    And its first token came in less than half the time
    When it is answered again with cache_prompt false
    Then none of it was cached

  Scenario: A conversation continues
    When a message of 200 words is answered
    Then none of it was cached
    When the conversation goes on with another message
    Then the first message and its answer were cached

  Scenario: A beginning shared with an answer that is still being made
    When a long answer to a prompt of 300 words is under way
    And another prompt with the same 300 words and a different ending is answered
    Then those 300 words were cached
    And the answer is that of the second prompt
    And the long answer continues undisturbed
