Feature: The key opens everything, so it is in one file only

  @beyond
  Scenario: No key in any command line, environment, output or log
    Given the setting log.level is "debug"
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    Then no secret is in any command line, environment, output or log
    And the key is in a file that only its owner can read
    And it exits with 0
    And no secret is in any command line, environment, output or log

  @beyond @B9.1
  Scenario: Only the files that are promised
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And ~/.rbee on localhost holds api_key and logs, and nothing else

  @beyond
  Scenario: Only the files that are promised, after a download too
    Given the Hub has lab/small with small.gguf, the small model
    When I run `rbee-keeper models download hf:lab/small`
    Then it exits with 0
    And nothing is running
    And ~/.rbee on localhost holds api_key, logs and models.db, and nothing else
