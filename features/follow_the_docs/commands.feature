@beyond
Feature: A newcomer types what the pages say
  Every command of a page, in its order, in a shell, with an empty HOME. What the harness has done
  already, or can't do, is named with the reason.

  @B10.1
  Scenario: From zero to a story
    When each command of the page docs/tutorial/first-story.md is typed, except those that begin with
      | words           | because                                         |
      | python3 -m venv | what is installed already is judged             |
      | source          | it is on the PATH already                       |
    Then each of the 11 exits with 0, except the first `rbee-keeper daemon status`, with 1
    And the output is what the page shows, apart from figures
    And the expected answers came: 5
    And nothing is running

  @B10.2
  Scenario: From one machine to two
    Given the node workstation
    And workstation has no rbee
    And the pip of workstation has the packages that are installed here, and no index
    And the person's ssh knows the key of workstation
    And the Hub of the node workstation has Qwen/Qwen2.5-0.5B-Instruct-GGUF with qwen2.5-0.5b-instruct-q4_k_m.gguf, the small Q4_K_M model
    When each command of the page docs/tutorial/two-machines.md is typed, except those that begin with
      | words                                                          | because                                     |
      | ssh workstation                                                | OpenSSH looks for ~/.ssh in no other HOME   |
      | rbee-keeper setup install --node workstation --wheel --backend | nobody here has a card to compile it for    |
    Then each of the 10 exits with 0
    And the expected answers came: 4
    And nothing is running

  Scenario: Changing settings
    Given the node workstation
    When each command of the page docs/how-to/configure.md is typed
    Then each of the 7 exits with 0, except the first `RBEE_HIVE_IDLE_TIMEOUT=900 rbee-keeper config show`, with 2
    And the output is what the page shows, apart from figures

  Scenario: Making it faster, or smaller
    When each command of the page docs/how-to/tune.md is typed
    Then each of the 4 exits with 0
    And the expected answers came: 3

  Scenario: Using it in scripts
    When each command of the page docs/how-to/scripts.md is typed, except those that begin with
      | words | because                                   |
      | curl  | the queen here has another address        |
    Then each of the 12 exits with 0

  Scenario: When something is wrong
    Given a persistent queen, with a worker that has answered once
    When each command of the page docs/how-to/troubleshooting.md is typed
    Then each of the 8 exits with 0
    And the expected answers came: 1

  Scenario: The first page of all
    Given the node workstation
    And the person's ssh knows the key of workstation
    And the Hub of the node workstation has Qwen/Qwen2.5-0.5B-Instruct-GGUF with qwen2.5-0.5b-instruct-q4_k_m.gguf, the small Q4_K_M model
    When each command of the page README.md is typed, except those that begin with
      | words                           | because                                  |
      | python3 -m venv                 | what is installed already is judged      |
      | source                          | it is on the PATH already                |
      | rbee-keeper infer --interactive | a chat wants a terminal                  |
      | rbee-keeper setup install       | the tutorial with two machines types it  |
    Then each of the 16 exits with 0
    And the expected answers came: 5
    And nothing is running

  Scenario: The lines of the first page for programs that people have already
    Given a persistent queen
    When OpenAI's, Anthropic's and Ollama's packages ask where the lines of README.md with export were typed
    Then each of the 3 is answered

  Scenario: Asking
    Given tools.json as the page docs/how-to/ask.md shows it
    When each command of the page docs/how-to/ask.md is typed
    Then each of the 2 exits with 0
    And the expected answers came: 2

  Scenario: Answers in a given form
    Given person.json as the page docs/how-to/answer-in-a-form.md shows it
    When each command of the page docs/how-to/answer-in-a-form.md is typed
    Then each of the 2 exits with 0
    And the expected answers came: 2

  Scenario: The doctor
    When each command of the page docs/how-to/doctor.md is typed
    Then each of the 1 exits with 0

  Scenario: Encrypting what others send
    When each command of the page docs/how-to/https.md is typed, except those that begin with
      | words     | because                        |
      | scp       | there is no other machine      |
      | openssl   | there is no copy of the CA     |
      | curl      | no machine is called queen     |
    Then each of the 4 exits with 0
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running
