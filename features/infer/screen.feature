@beyond
Feature: The screen during the work and after it
  One line says what is going on, or a bar shows how far a download, a load or the reading of the
  prompt has come. When the answer arrives it is gone.

  Scenario Outline: The first story on a terminal of <columns> columns
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    When I type `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0` on a terminal of <columns> columns
    Then it exits there with 0
    And before the story the terminal showed one line at a time, among them "starting rbee-hive on local"
    And the seconds there were those of the whole wait
    And the screen has that story, and no word is broken, and apart from figures
      """

      STORY

      20 tokens · N ms to first token · N tokens/s · stopped at --max-tokens 20
      → To keep the model warm between commands: rbee-keeper daemon start
      """
    And what matters less was dimmed, and nothing else was sent in a colour

    Examples:
      | columns |
      | 80      |
      | 40      |

  Scenario: The whole story of the work with --verbose, and an error in red
    When I type `rbee-keeper infer --verbose --prompt hi --max-tokens 2` on a terminal
    Then it exits there with 0
    And the screen says "[queen-rbee] 🐝 starting rbee-hive on localhost"
    And the screen says "[queen-rbee] 💬 inference:"
    When I type `rbee-keeper infer --node attic --prompt hi` on a terminal
    Then it exits there with 1
    And the screen shows NODE_NOT_FOUND, and right below it the next step
    And "Error [NODE_NOT_FOUND]" was sent in red

  Scenario: A long prompt is read, and one sees how far
    Given a prompt of 20 KB in long.txt
    When I type `rbee-keeper infer --prompt-file long.txt --max-tokens 2` on a terminal of 40 columns
    Then the terminal showed how many tokens were read, growing, of as many as the prompt has
    When I press Ctrl+C there
    Then it exits there with 130
    And no bar is left on the terminal

  Scenario Outline: A download and a load on a terminal of <columns> columns
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 4 MB a second
    When I type `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --temperature 0 --max-tokens 8` on a terminal of <columns> columns
    Then it exits there with 0
    And the terminal showed a bar that moved, with percentage, speed and time left
    And each time bar, percentage, speed and time left were those of 15 MB
    And no bar was ever wider than the terminal or left a piece behind
    And no bar is left on the terminal

    Examples:
      | columns |
      | 100     |
      | 40      |

  Scenario: Layers on a terminal of 40 columns
    Given the setting worker.mmap is false
    When I type `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 --temperature 0` on a terminal of 40 columns
    Then it exits there with 0
    And the terminal showed a bar that moved while the model was loaded
    And no bar was ever wider than the terminal or left a piece behind
    And no bar is left on the terminal

  Scenario: A terminal that is made narrower in the meantime
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 3 MB a second
    When I type `rbee-keeper models download hf:lab/small/small.gguf` on a terminal of 100 columns
    And the terminal shows "MB/s"
    Then no bar was wider than 79 columns
    When the terminal is made 40 columns wide
    Then it exits there with 0
    And from then on no bar was wider than 39 columns
    And no bar is left on the terminal

  Scenario: On a dumb terminal there are no control sequences
    Given the environment has TERM=dumb
    And the Hub has lab/small with small.gguf, the small model
    And the Hub sends 10 MB a second
    When I type `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --temperature 0 --max-tokens 8` on a terminal
    Then it exits there with 0
    And no control sequence was sent to the terminal
    And the terminal shows "% of 15 MB"

  Scenario: Without a terminal there are none either
    Given the Hub has lab/small with small.gguf, the small model
    When I run `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --temperature 0 --max-tokens 8`
    Then it exits with 0
    And neither output has a control character
    When I run `rbee-keeper infer --max-tokens 0 --prompt hi`
    Then it exits with 2
    And neither output has a control character

  Scenario: A download with -q
    Given the Hub has lab/small with small.gguf, the small model
    When I run `rbee-keeper infer -q --model hf:lab/small/small.gguf -p hi --temperature 0 --max-tokens 8`
    Then it exits with 0
    And standard error is a summary of 8 tokens, and nothing else

  Scenario Outline: A terminal that shows only ASCII, by <name>=<value>
    Given the environment has LC_ALL=C
    And the environment has <name>=<value>
    When I run `rbee-keeper infer --explain --prompt hi --max-tokens 2`
    Then it exits with 0
    And standard error says "[queen-rbee] placement: localhost"
    And standard error says "-> To keep the model warm"
    And neither output has anything but ASCII, or an escape in its place

    Examples:
      | name             | value |
      | PYTHONUTF8       | 0     |
      | PYTHONIOENCODING | ascii |

  Scenario: With NO_COLOR there is no colour, in a chat either
    Given the environment has NO_COLOR=0
    When I type `rbee-keeper infer --prompt hi --max-tokens 2` on a terminal
    Then it exits there with 0
    And no colour was sent to the terminal
    When I type `rbee-keeper infer --interactive` on a terminal
    And the prompt appears
    And I press Ctrl+D there
    Then it exits there with 0
    And no colour was sent to the terminal
    When I type `rbee-keeper infer --prompt hi --max-tokens 0` on a terminal of 40 columns
    Then it exits there with 2
    And no colour was sent to the terminal
    And the screen shows INVALID_REQUEST, with the words of its message whole: "--max-tokens must be a whole number from 1 to"

  Scenario: After a cold start, a hint says how to wait less
    When I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    And the last line on standard error names `rbee-keeper daemon start`, and no other does
    When I run `rbee-keeper infer --quiet --prompt hi --max-tokens 2`
    Then neither output names `rbee-keeper daemon start`
    And standard error is a summary of 2 tokens, and nothing else
    When I run `rbee-keeper infer --json --prompt hi --max-tokens 2`
    Then neither output names `rbee-keeper daemon start`
    And each line on standard output is an event, the first "accepted", the last "done"
    When I run `rbee-keeper infer --node attic --prompt hi`
    Then neither output names `rbee-keeper daemon start`

  Scenario: Under a persistent queen there is no hint
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper infer --prompt hi --max-tokens 1`
    Then it exits with 0
    And neither output names `rbee-keeper daemon start`
    And standard error says "1 token · "

  Scenario Outline: An error is an event too: <mistake>
    When I run `rbee-keeper infer --json --prompt hi <flags>`
    Then it exits with <code>
    And each line on standard output is an event, the first "<first>", the last "error"
    And the stream ended with the error <error> and without "done"
    And the error is <error>

    Examples:
      | mistake            | flags             | code | first    | error           |
      | an unknown node    | --node attic      | 1    | error    | NODE_NOT_FOUND  |
      | a wrong number     | --max-tokens 0    | 2    | error    | INVALID_REQUEST |
      | a missing file     | --model <missing> | 1    | accepted | MODEL_NOT_FOUND |
