Feature: A person changes their mind

  @beyond
  Scenario: SIGINT to the keeper in mid-stream
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error says "Canceled."
    And nothing is running

  @beyond
  Scenario: Ctrl+C on a terminal
    When I type `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0` on a terminal
    And the hive lists a busy worker
    And I press Ctrl+C there
    Then it exits there with 130
    And the terminal shows "Canceled."
    And nothing is running

  @beyond
  Scenario: A canceled answer leaves a lasting worker idle
    Given a queen that lasts, with a worker that has answered once
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And the worker becomes idle
    And all its slots are free
