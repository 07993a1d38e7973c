@beyond
Feature: A beginning that is there already is not read twice
  The worker keeps what it has read. Who asks again with the same beginning gets the first token
  sooner, and `cached_tokens` says how much was there.

  Background:
    Given a worker with 4 slots, started by hand

  Scenario: The same long prompt twice
    When a prompt of 300 words is answered
    Then none of it was there already
    When it is answered again
    Then all of it but a few tokens was there already
    And each token is still one that the model would have chosen
    And its first token came in less than half the time
    When it is answered again with cache_prompt false
    Then none of it was there already

  Scenario: A conversation goes on
    When a message of 200 words is answered
    Then none of it was there already
    When the conversation goes on with another message
    Then all of the first message and its answer was there already

  Scenario: A beginning shared with an answer that is still being made
    When a long answer to a prompt of 300 words is under way
    And another prompt with the same 300 words and other last words is answered
    Then those 300 words were there already
    And the answer is that of the second prompt
    And the long answer goes on as if nothing had been
