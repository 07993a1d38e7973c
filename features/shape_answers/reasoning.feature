@beyond
Feature: Reasoning is not the answer
  What a model thinks before it answers comes in a channel of its own, without the marks around it.

  Scenario: An answer that begins in reasoning
    Given a standalone worker for <that reasons> with `--slots 2`
    When it is made to answer "Hm.\n</think>\n\nYes." to a message, and to a raw prompt
    Then the message's answer is "Hm." as reasoning, then "Yes." as text
    And the raw prompt's answer is nothing but text
