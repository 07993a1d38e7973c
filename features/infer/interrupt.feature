@beyond
Feature: Ctrl+C ends whatever is going on, and everything that was started for it
  The work is canceled, the keeper waits at most 5 s for that, and prints "Canceled."; a
  second Ctrl+C ends it at once. The text is on the screen already: nothing is saved.

  Scenario: While connecting to a node that says nothing
    Given the added node workstation
    And workstation's SSH server is mute
    When I type `rbee-keeper infer --node workstation --prompt hi --max-tokens 5` on a terminal
    And the terminal shows "attempt 1 of 3"
    Then the live line counts the seconds, one by one
    When I press Ctrl+C there
    Then it is canceled there within 8 s
    And nothing is running

  Scenario: While a model is downloaded
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 2 MB a second
    When I type `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "MB/s"
    And 30 % of small.gguf has been sent
    And I press Ctrl+C there
    Then it is canceled there within 8 s
    And no bar is left on the terminal
    And nothing is running
    And the partial file has at least 20 % of small.gguf

  Scenario: While a model is loaded
    Given the setting worker.mmap is false
    When I type `rbee-keeper infer --model <large> --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "layers"
    And I press Ctrl+C there
    Then it is canceled there within 8 s
    And no bar is left on the terminal
    And nothing is running

  Scenario: While the answer arrives
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --ignore-eos --max-tokens 4000` on a terminal
    And text is on the terminal
    And I type "xyzzy" there
    And I press Ctrl+C there
    Then it is canceled there within 8 s
    And the terminal is as it was before
    And the screen says nothing of "xyzzy"
    And nothing is saved, since it is on the screen
    And nothing is running

  Scenario: While it waits in the queue
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And I type `rbee-keeper infer --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "waiting for a free slot: 1 of 1"
    And I press Ctrl+C there
    Then it is canceled there within 8 s
    And nothing else was spawned, and the first task still streams
    And nobody waits in the queue
    When I start `rbee-keeper infer --quiet --prompt hi --max-tokens 1`
    And somebody waits in the queue
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error is "Canceled.", and nothing else

  Scenario: While it waits because all slots are busy
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 0
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And I type `rbee-keeper infer --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "busy: tried again after 1 s (1 of 3)"
    And I press Ctrl+C there
    Then it is canceled there within 3 s
    And nothing else was spawned, and the first task still streams

  Scenario: While the programs that it started are ending
    When I type `rbee-keeper infer --prompt hi --max-tokens 1` on a terminal
    And the terminal shows "ms to first token"
    And I press Ctrl+C there
    Then it is canceled there within 3 s
    And nothing is running after 10 s

  Scenario: Twice, and it ends at once, whatever the queen does
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --ignore-eos --max-tokens 4000` on a terminal
    And text is on the terminal
    And the pids of queen, hive and worker are noted
    And the queen hangs
    And I press Ctrl+C there, and again a moment later
    Then it is canceled there within 2 s
    And the queen goes on, and nothing is running after 10 s

  Scenario: Once, and the queen does not confirm it: that is waited for, but not for long
    Given a persistent queen, with a worker that has answered once
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --ignore-eos --max-tokens 4000` on a terminal
    And text is on the terminal
    And the queen hangs
    And I press Ctrl+C there
    Then it is canceled there after 5 s, and within 9 s
    When the queen goes on
    Then the worker becomes idle

  Scenario: A program learns it from the last event
    When I start `rbee-keeper infer --json --prompt "write a long story" --ignore-eos --max-tokens 4000`
    And tokens are arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And each line on standard output is an event, the first "accepted", the last "error"
    And the stream ended with the error REQUEST_CANCELED and without "done"
    And nothing is running

  Scenario Outline: <signal> is an orderly end too
    When I start `rbee-keeper infer --prompt "write a long story" --ignore-eos --max-tokens 4000`
    And the story is arriving
    And the keeper gets <signal>
    Then it exits with 130
    And standard error says "Canceled."
    And nothing is running

    Examples:
      | signal  |
      | SIGTERM |
      | SIGHUP  |

  Scenario: The window of the terminal is closed
    When I type `rbee-keeper infer --quiet --prompt "write a long story" --ignore-eos --max-tokens 4000` on a terminal
    And text is on the terminal
    And the window of the terminal is closed
    Then the keeper there ends within 8 s
    And nothing is running
    And ~/.rbee/logs has no traceback
