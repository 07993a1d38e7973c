@beyond
Feature: The prompt comes from where it is
  From the command line, from a file or from standard input; it is sent exactly as it is written.

  Scenario: From a file, from standard input, or both
    Given a persistent queen
    And a proxy between keeper and queen
    And the file letter.txt has the text "Dear bee, @home -- $HOME 'a' "b" 🐝"
    When each of these is run in a shell
      | how                      | command                                                      | asked |
      | A file                   | rbee-keeper infer --max-tokens 1 --prompt-file letter.txt    | Dear bee, @home -- $HOME 'a' "b" 🐝 |
      | A word with an at sign   | rbee-keeper infer --max-tokens 1 --prompt @letter.txt        | @letter.txt |
      | A question and a file    | rbee-keeper infer --max-tokens 1 -p "Shorter:" -f letter.txt | Shorter:\n\nDear bee, @home -- $HOME 'a' "b" 🐝 |
      | Standard input by a dash | rbee-keeper infer --max-tokens 1 --prompt - < letter.txt     | Dear bee, @home -- $HOME 'a' "b" 🐝 |
      | A dash for the file      | rbee-keeper infer --max-tokens 1 -p Shorter: -f - < letter.txt | Shorter:\n\nDear bee, @home -- $HOME 'a' "b" 🐝 |
      | A pipe, and nothing else | cat letter.txt \| rbee-keeper infer --max-tokens 1           | Dear bee, @home -- $HOME 'a' "b" 🐝 |
      | A pipe, for run          | cat letter.txt \| rbee-keeper run smollm2 --max-tokens 1    | Dear bee, @home -- $HOME 'a' "b" 🐝 |
      | From another system      | printf "\xef\xbb\xbfDear bee,\r\n" \| rbee-keeper infer --max-tokens 1 | Dear bee, |
      | Several words            | rbee-keeper infer Dear "bee,  hum" --max-tokens 1            | Dear bee,  hum |
      | A prompt beside a pipe   | echo no \| rbee-keeper infer --max-tokens 1 --prompt yes     | yes |
      | Lines and spaces around  | printf "\n  Dear \n bee,\n\n" \| rbee-keeper infer --max-tokens 1 | \n  Dear \n bee,\n |
    Then each exits with 0, and the queen was asked once each time, as it says there
    When I run in a shell `printf "One\nTwo\n" | while read name; do rbee-keeper infer --max-tokens 1 --prompt $name; done`
    Then the queen was asked "One" and "Two" at last
    When I run in a shell `printf "Dear bee,\n" | rbee-keeper infer --raw --max-tokens 1`
    Then it exits with 0
    And the last prompt was sent as it is, "Dear bee,\n"

  Scenario Outline: Not a prompt: <what>
    When I run in a shell `<command>`
    Then it exits with 2
    And standard error says "<words>"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | what                 | command                                                      | words                       |
      | a file that is not   | rbee-keeper infer --prompt-file nowhere.txt                  | nowhere.txt                 |
      | a folder             | rbee-keeper infer --prompt-file /tmp                         | /tmp                        |
      | a program            | rbee-keeper infer --prompt-file /bin/true                    | /bin/true is not UTF-8 text |
      | an empty file        | rbee-keeper infer --prompt-file /dev/null                    | /dev/null is empty          |
      | an empty input       | rbee-keeper infer < /dev/null                                | --prompt-file               |
      | only space           | echo \| rbee-keeper infer                                    | --prompt                    |
      | only space, typed    | rbee-keeper infer --prompt " "                               | The prompt is empty         |
      | two prompts          | rbee-keeper infer yes --prompt no                            | There are two prompts       |
      | a NUL                | printf "a\0b" \| rbee-keeper infer                           | it contains a NUL           |
      | a system text, raw   | rbee-keeper infer --raw --system Brief --prompt hi           | --raw sends only the prompt |
      | a chat as events     | rbee-keeper infer --interactive --json                       | combined with --json        |
      | an endless file      | rbee-keeper infer --prompt-file /dev/zero                    | larger than 32 MB           |

  Scenario: On a terminal without a prompt, the error says what to type
    When I type `rbee-keeper infer` on a terminal
    Then it exits there with 2
    And the terminal shows "--prompt"
    And the terminal shows "--interactive"

  Scenario: A prompt too large for a command line
    Given a persistent queen
    And a proxy between keeper and queen
    And the file large.txt has 2000 KB of text
    When I run in a shell `rbee-keeper infer --max-tokens 1 --prompt-file large.txt`
    Then it exits with 1
    And the error is PROMPT_TOO_LONG
    And the next step says "the model was trained for no more"
    And the queen was asked the whole text
