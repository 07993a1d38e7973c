Feature: One download, however many ask, and none for nobody
  The work belongs to those who watch: it is done once for all of them, and ends with the last.

  Background:
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 8 MB a second
    And a queen and a hive that an operator started

  @beyond
  Scenario: Two people want the same model at the same moment
    When two people run `rbee-keeper models download hf:lab/small/small.gguf` at once
    Then both exit with 0, having seen how it went on
    And it was fetched in one transfer, whole
    And the Hub was asked 1 time for small.gguf

  @beyond
  Scenario: One person asks for an answer, another one for the file
    When I start `rbee-keeper models download hf:lab/small/small.gguf`
    And 20 % of small.gguf has been sent
    And somebody who wants to run hf:lab/small/small.gguf asks the hive to fetch it
    And the Hub sends 100 MB a second
    Then it is fetched
    And it exits with 0
    And it was fetched in one transfer, whole

  @beyond
  Scenario: One who comes later is told at once where it stands
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 30 % of small.gguf has been sent
    And another one asks the hive to fetch hf:lab/small
    And the Hub sends 100 MB a second
    Then both were told of the bytes and that it is complete
    And it was fetched in one transfer, whole

  @beyond
  Scenario: Two hives share a models folder
    When two hives with one models folder are asked to fetch hf:lab/small/small.gguf at once
    Then both are told that it is complete
    And it was fetched in one transfer, whole
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @beyond
  Scenario: One of two goes
    When two people run `rbee-keeper models download hf:lab/small/small.gguf` at once
    And 40 % of small.gguf has been sent
    And one of the two gets SIGINT
    Then the transfer goes on
    When the Hub sends 100 MB a second
    Then the other one exits with 0
    And it was fetched in one transfer, whole

  @beyond
  Scenario: The last one goes
    When I start `rbee-keeper models download hf:lab/small/small.gguf`
    And 40 % of small.gguf has been sent
    And the keeper gets SIGINT
    Then it exits with 130
    And the transfer ends at the Hub within 5 s, unfinished
    And the partial file is kept
    And within 5 s the hive's list has hf:lab/small/small.gguf as partial
    When the Hub sends 100 MB a second
    And I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And each transfer began where the one before had come to, or at most 2 MiB before

  @beyond
  Scenario: With --detach it goes on
    When I run `rbee-keeper models download --detach hf:lab/small/small.gguf`
    Then it exits with 0
    And the transfer goes on
    And lab/small/small.gguf arrives within 10 s
    And it was fetched in one transfer, whole

  @beyond
  Scenario: Detached, it goes on without its last watcher too
    When hf:lab/small/small.gguf is asked for, detached
    And 20 % of small.gguf has been sent
    And the one who watches goes
    Then lab/small/small.gguf arrives within 10 s
    And it was fetched in one transfer, whole

  @beyond
  Scenario: The hive is told to end in mid-download
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 40 % of small.gguf has been sent
    And the hive is restarted
    Then the transfer ends at the Hub within 1 s, unfinished
    And the partial file is kept
    When the Hub sends 100 MB a second
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And each transfer began where the one before had come to, or at most 2 MiB before

  @beyond
  Scenario: Ctrl+C in an infer that still fetches
    When I start `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    And 40 % of small.gguf has been sent
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error says "Canceled."
    And the transfer ends at the Hub within 5 s, unfinished
    And the partial file is kept

  @beyond
  Scenario: Who wants a model that is there does not wait for one that is fetched
    Given the Hub sends 1 MB a second
    And a queen that lasts, with a worker that has answered once
    When I start `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    And 10 % of small.gguf has been sent
    And I start `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --json`
    Then it exits with 0
    And it took less than 5 s
    And the same worker answered
    And small.gguf is still being sent
