Feature: One download, however many clients ask, and none when nobody does
  The download belongs to its watchers: it runs once for all of them, and ends with the last.

  Background:
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 4 MB a second
    And a queen and a hive that an operator started

  @beyond
  Scenario: Two people want the same model at the same moment
    When two people run `rbee-keeper models download hf:lab/small/small.gguf` at once
    Then both exit with 0 after showing the progress
    And it was fetched whole, in one transfer
    And the Hub was asked 1 time for small.gguf

  @beyond
  Scenario: One person asks for an answer, another one for the file
    When I start `rbee-keeper models download hf:lab/small/small.gguf`
    And 20 % of small.gguf has been sent
    And a client that wants to run hf:lab/small/small.gguf asks the hive to fetch it
    Then the hive said that hf:lab/small/small.gguf is already being downloaded
    When the Hub sends 100 MB a second
    Then it is fetched
    And it exits with 0
    And standard error says nothing of "is already being downloaded"
    And it was fetched whole, in one transfer

  @beyond
  Scenario: A client that comes later gets the current progress at once
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 30 % of small.gguf has been sent
    And another client asks the hive to fetch hf:lab/small
    And the Hub sends 100 MB a second
    Then both streams report the bytes and the end
    And it was fetched whole, in one transfer

  @beyond
  Scenario: A client that comes while nothing moves gets the latest progress at once
    Given a transfer stalls at 40 % of the file, once
    And the Hub sends 20 MB a second
    When the hive is asked to fetch hf:lab/small/small.gguf
    And a part of it has been reported
    And another client asks the hive to fetch hf:lab/small
    Then both were told the same download
    And within 2 s that client is told as much as the first
    And the hive lists hf:lab/small/small.gguf as downloading, with the bytes that are on the disk

  @beyond
  Scenario: Two hives share a models folder
    When two hives with one models folder are asked to fetch hf:lab/small/small.gguf at once
    Then both streams report the end
    And it was fetched whole, in one transfer
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @beyond
  Scenario: One of two disconnects
    When two people run `rbee-keeper models download hf:lab/small/small.gguf` at once
    And 40 % of small.gguf has been sent
    And one of the two gets SIGINT
    Then the transfer goes on
    When the Hub sends 100 MB a second
    Then the other one exits with 0
    And it was fetched whole, in one transfer

  @beyond
  Scenario: The last one disconnects
    When I start `rbee-keeper models download hf:lab/small/small.gguf`
    And 40 % of small.gguf has been sent
    And the keeper gets SIGINT
    Then it exits with 130
    And the transfer ends at the Hub within 5 s, unfinished
    And within 5 s the hive's list has hf:lab/small/small.gguf as partial
    And the partial file is kept
    When I run `rbee-keeper models list`
    Then standard output has the share of small.gguf that is here
    When I run `rbee-keeper models disk-usage`
    Then it lists hf:lab/small/small.gguf with the bytes that are here
    When the Hub sends 100 MB a second
    And I run `rbee-keeper pull hf:lab/small/small.gguf`
    Then it exits with 0
    And each transfer began where the one before stopped, or at most 2 MiB earlier
    And the second transfer began at the end of the partial file

  @beyond
  Scenario: With --detach the download continues
    When I run `rbee-keeper models download --detach hf:lab/small/small.gguf`
    Then it exits with 0
    And the transfer goes on
    And lab/small/small.gguf arrives within 10 s
    And it was fetched whole, in one transfer

  @beyond
  Scenario: A detached download also continues without its last watcher
    When a detached download of hf:lab/small/small.gguf is asked for
    And 20 % of small.gguf has been sent
    And another client asks the hive to fetch hf:lab/small/small.gguf
    And both clients that watch disconnect
    Then lab/small/small.gguf arrives within 10 s
    And it was fetched whole, in one transfer

  @beyond
  Scenario: The hive is stopped in mid-download
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 40 % of small.gguf has been sent
    And the hive is restarted
    Then the transfer ends at the Hub within 1 s, unfinished
    And the partial file is kept
    When the Hub sends 100 MB a second
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And each transfer began where the one before stopped, or at most 2 MiB earlier

  @beyond
  Scenario: Ctrl+C in an infer that is still fetching
    When I start `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    And 40 % of small.gguf has been sent
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error says "Canceled."
    And the transfer ends at the Hub within 5 s, unfinished
    And the partial file is kept

  @beyond
  Scenario: A request for a model that is there does not wait for another download
    Given the Hub sends 1 MB a second
    And a persistent queen, with a worker that has answered once
    When I start `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    And 10 % of small.gguf has been sent
    And I start `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --json`
    Then it exits with 0
    And it took less than 5 s
    And the same worker answered
    And small.gguf is still being sent
