Feature: A person cancels an answer

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

  @t001-40 @edge-case
  Scenario: Ctrl+C in mid-stream stops the work at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error says "Canceled."
    And the worker was sent one DELETE, for that request, and answered 204
    And the worker becomes idle
    And all its slots are free
    And the worker stops computing

  @beyond
  Scenario: A program that goes away without a word
    Given a persistent queen, with a worker that has answered once
    When a task for 6000 tokens streams
    And its reader goes away
    Then the worker is idle within 5 s, and the queen counts no task

  @beyond
  Scenario Outline: A program that takes nothing of its answer
    Given the setting times.reply_stall_s is 2
    And a persistent queen, with a worker that has answered once
    When a program asks the <who> at <route> for 6000 tokens with what else was likely, and reads none
    Then the worker is idle within 30 s, and the queen counts no task
    And the <who> has logged once that it gave up a client of <route>, in mid-answer

    Examples:
      | who    | route                |
      | queen  | /v2/tasks            |
      | queen  | /v1/chat/completions |
      | worker | /v1/inference        |
