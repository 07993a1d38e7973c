Feature: A person asks and the answer streams back
  One command starts whatever is missing, prints the answer as it is made, and narrates the work on
  standard error, so that `rbee-keeper infer … > story.txt` holds the story alone.

  @t001-58 @cli @happy @B11.3
  Scenario Outline: One command does the whole job from nothing
    Given nothing is running
    When I run `rbee-keeper infer --node localhost --model bundled:smollm2-135m-instruct --prompt "write a short story" --max-tokens 20 --temperature 0 --backend <backend>`
    Then it exits with 0
    And standard output holds the story and nothing else
    And standard error ends with a summary of 20 tokens
    And standard error says "is loaded"
    And nothing is running

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |

  @t001-08 @happy
  Scenario: A warm worker answers the next prompt
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And it took less than 5 s
    And the same worker answered
    And nothing was spawned
    And "model provisioning" is shown as skipped
    And "worker startup" is shown as skipped
    And the answer has exactly 20 tokens
    And the events name the request, the bundled model, that worker and localhost
    And the text tells the same figures as the last event

  @t001-34
  Scenario: Tokens are on the screen while others are still being made
    Given a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 120 --temperature 0 --json`
    Then a token is on the screen while the hive lists the worker as busy
    And meanwhile hive and queen list 3 of its 4 slots as free
    And it exits with 0
    And the answer has exactly 120 tokens
    And the tokens are numbered from 0 without a gap
    And the answer's figures are those of the clock, and its tokens came one by one
    And the hive reported the worker as busy, then as idle
    And the worker becomes idle
    And the hive says that it was last active when the answer ended

  @beyond
  Scenario: What is printed is what the tokens say
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 30 --temperature 0 --json`
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 30 --temperature 0`
    Then it exits with 0
    And the text on standard output is made of the tokens of the previous run

  @beyond
  Scenario: The story grows on a terminal
    Given a persistent queen, with a worker that has answered once
    When I type `rbee-keeper infer --quiet --prompt "write a short story" --max-tokens 60 --temperature 0` on a terminal
    Then it exits there with 0
    And the terminal showed the text growing in at least 10 steps

  @beyond
  Scenario: Shell characters arrive unharmed
    Given a persistent queen, with a worker that has answered once
    When I ask with odd characters in the prompt, as an argument, on standard input, and over HTTP
    Then all three times the prompt has the same number of tokens and the answer is the same
