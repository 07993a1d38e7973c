@beyond
Feature: The four programs leave only what the contract names

  @B1.3
  Scenario: Each program says its version
    When each of the four programs is asked for its version
    Then each answers with its name and the package's version, and exits with 0
    And nothing was written to the home folder

  @B1.5 @B7.1 @B7.2 @B7.3
  Scenario: While everything is at work
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    When I start `rbee-keeper infer --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a long story" --max-tokens 300 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    Then nothing but keeper, queen, hive and worker is running
    And the keeper is connected to the queen and to nothing else
    And the keeper has no database open, and the hive has the catalog
    And it exits with 0
    And the phases are shown in order, "worker preflight" right after "model provisioning"
    And nothing is running

  Scenario: In a session that lets everyone write
    Given the Hub has lab/small with small.gguf, the small model
    And programs are started with the umask 000
    When I run `rbee-keeper install`
    Then it exits with 0
    When I run `rbee-keeper infer --model hf:lab/small --prompt hi --max-tokens 2`
    Then it exits with 0
    And nobody else may write anything in the home folder
    And nobody else may read api_key, models.db and logs in ~/.rbee

  Scenario: In a session that lets nobody else read
    Given the Hub has lab/small with small.gguf, the small model
    And programs are started with the umask 077
    When I run `rbee-keeper models download hf:lab/small`
    Then it exits with 0
    And everybody may read the models

  @B3.1 @B3.2 @B9.2 @B9.3
  Scenario: After a session with two machines
    Given the added node workstation
    And the Hub of the node workstation has lab/small with small.gguf, the small model
    And a persistent queen
    When I run `rbee-keeper infer --node workstation --model hf:lab/small --prompt hi --max-tokens 2`
    Then it exits with 0
    When I run `rbee-keeper models list`
    Then it exits with 0
    When I run `rbee-keeper infer --node localhost --prompt hi --max-tokens 2`
    Then it exits with 0
    And every database, here and on workstation, has one table, of models or of nodes
    And there is no workers.db anywhere
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running
    And ~/.rbee on localhost holds api_key, beehives.db, known_hosts, logs and models.db, and nothing else
    And ~/.rbee on workstation holds logs and models.db, and nothing else
    And there is no workers.db anywhere
