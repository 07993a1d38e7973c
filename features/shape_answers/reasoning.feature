@beyond
Feature: Reasoning is not the answer
  What a model thinks before it answers comes in a channel of its own, without the marks around it.

  Scenario: An answer that begins in reasoning
    Given a standalone worker for <that reasons> with `--slots 2`
    When it is made to answer "Hm.\n</think>\n\nYes." to a message, and to a raw prompt
    Then the message's answer is "Hm." as reasoning, then "Yes." as text
    And the raw prompt's answer is nothing but text

  Scenario: A person sees the reasoning dimmed, and a pipe does not get it
    Given a persistent queen
    And a proxy between keeper and queen
    When I run `rbee-keeper infer --model <that thinks> --think --stop ".!" --prompt "Is it?"`
    Then it exits with 0
    And standard output is exactly Yes.
    And standard error says nothing of "Hm."
    When I type `rbee-keeper infer --model <that thinks> --think --prompt "Is it?"` on a terminal
    Then it exits there with 0
    And "Hm." was dimmed, and "Yes." was not
    When I type `rbee-keeper infer --quiet --model <that thinks> --think --prompt "Is it?"` on a terminal
    Then it exits there with 0
    And the screen says nothing of "Hm."
    When I type `rbee-keeper chat <that thinks> --quiet --think` on a terminal
    And I ask "Is it?" there and get an answer
    And I ask "Sure?" there and get an answer
    Then the last task of the queen says "Is it?", "Yes." and "Sure?", and nothing else
    When I press Ctrl+D there
    Then it exits there with 0
