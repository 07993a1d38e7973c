@beyond
Feature: The figures of an answer are true
  What `done` tells of its times is what a clock beside the worker measures.

  Scenario: A long prompt and a long answer
    Given a standalone worker with `--slots 2`
    When a prompt of at least 600 words is answered with at least 100 tokens
    Then its figures are those of the clock
    And the tokens came one by one
    And its tokens are numbered from 0
    And the rate of an answer of one token is that of its whole time
