@beyond
Feature: A chat in the terminal
  One question after the other, with all that was said; the model stays for all of it.

  Scenario: A conversation
    Given a queen that lasts
    And a wire between keeper and queen
    When I type `rbee-keeper infer --interactive --system "Be brief." --temperature 0 --max-tokens 12` on a terminal
    And I ask "Hello, who are you?" there and am answered
    And I ask "And what can you do?" there and am answered
    And I ask "Thank you." there and am answered
    Then the third time all of it was sent, by its roles: system, user, assistant, user, assistant, user
    And what the assistant had said was sent as it stood on the screen
    And the worker had most of it in its KV cache
    When I press Ctrl+D there
    Then it exits there with 0
    And ~/.rbee/history has the three questions, for nobody else to read

  Scenario: Everything is started for it once, and ends with it
    When I type `rbee-keeper infer --interactive --prompt "Hello" --temperature 0 --max-tokens 8` on a terminal
    Then the question of the command line is answered there
    When somebody notes the pids of queen, hive and worker
    And I ask "And now?" there and am answered
    Then queen, hive and worker are still the same processes
    When I type "/exit" there
    Then it exits there with 0
    And nothing is running

  Scenario: Ctrl+C breaks off an answer, and only that
    Given a queen that lasts, with a worker that has answered once
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 4000` on a terminal
    And I ask "write a long story" there
    And the hive lists a busy worker
    And I press Ctrl+C there
    Then "Canceled." is said there, and the prompt is there again
    And the worker becomes idle
    When I press Ctrl+D there
    Then it exits there with 0

  Scenario: Ctrl+C at the prompt clears the line, and commands do what they say
    Given a queen that lasts
    And a wire between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --max-tokens 4 --temperature 0` on a terminal
    And the prompt is there
    And I type half a line there and press Ctrl+C
    And I ask "One?" there and am answered
    And I ask "/retry" there and am answered
    Then the queen was asked "One?" twice, and nothing else
    When I type "/clear" there
    And I ask "Two?" there and am answered
    Then the queen was asked "Two?" at last, with nothing before it
    When I type "/nonsense" there
    Then "There is no /nonsense here" is said there
    When I type "/help" there
    Then "ask the last question again" is said there
    When I press Ctrl+C there
    Then "/exit" is said there
    When I type "/exit" there
    Then it exits there with 0

  Scenario: A text of several lines
    Given a queen that lasts
    And a wire between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --max-tokens 4` on a terminal of 40 columns
    And the prompt is there
    And I type a text of three lines between three quotes there, and am answered
    Then the queen was asked the text of three lines
    When I press Ctrl+D there
    Then it exits there with 0

  Scenario: A conversation that outgrows the context goes on without its beginning
    Given the setting worker.context is 256
    And the setting worker.slots is 1
    And a queen that lasts
    And a wire between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 60 --temperature 0` on a terminal
    And I ask five questions there and am answered each time
    Then "left out" is said there
    And the queen was asked the last question with less than all that was said
    When I press Ctrl+D there
    Then it exits there with 0

  Scenario: An error is told, and the chat goes on
    Given a queen that lasts
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 4000` on a terminal
    And I ask "write a long story" there
    And the hive lists a busy worker
    And somebody notes the pids of queen, hive and worker
    And the worker is killed
    Then "WORKER_CRASHED" is said there, and the prompt is there again
    When I type "/exit" there
    Then it exits there with 0

  Scenario: It needs a terminal
    When I run `rbee-keeper infer --interactive`
    Then it exits with 2
    And standard error says "needs a terminal"
    And it is a clear message with a next step
    And nothing is running
