Feature: When the person is done, the machine is as it was before

  @t001-51 @lifecycle @critical @B11.4
  Scenario: Queen, hive and worker end with the command that started them
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And their endings are watched
    Then it exits with 0
    And nothing is running
    And they ended in the order worker, hive, queen, keeper
    And none of them was killed or ended with an error

  @beyond
  Scenario: Two keepers share one queen, which ends with the last of them
    When two keepers are started at once, one for 40 tokens and one for 300
    Then while both get tokens there is one queen, one hive and one worker
    And the shorter one exits with 0 and 40 tokens
    And the queen is still the same process
    And the longer one exits with 0 and 300 tokens
    And nothing is running

  @beyond
  Scenario: The first keeper ends, and the one that stayed is killed
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And another keeper watches the nodes
    And the keeper gets SIGINT
    Then it exits with 130
    And queen, hive and worker are still the same processes
    When that keeper is killed
    Then nothing is running after 10 s

  @beyond
  Scenario Outline: A <program> killed in mid-stream leaves nothing behind
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And the <program> is killed
    Then nothing is running after 10 s

    Examples:
      | program |
      | keeper  |
      | queen   |
      | hive    |

  @beyond
  Scenario Outline: Under a persistent queen, a killed <program> takes with it what it owns
    Given a persistent queen
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And the <program> is killed
    Then it exits with 1
    And the <gone> are gone after 10 s

    Examples:
      | program | gone                    |
      | queen   | queen, hive and worker  |
      | hive    | hive and worker         |

  @beyond
  Scenario: A hung hive is replaced, and does not live on beside its successor
    Given the setting times.stream_silence_s is 4
    And a persistent queen, with a worker that has answered once
    When the hive hangs
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And "model provisioning" is shown as skipped
    When the queen has noticed that the hive on localhost is gone
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the hive and worker are gone after 10 s
    And the queen shows the worker of the new hive, and no other

  @beyond
  Scenario: The queen is told twice to end, and waits for no answer
    Not even for one of a worker that somebody else has asked.
    Given the setting times.grace_s is 20
    And a queen that an operator started
    When I run `rbee-keeper infer --prompt hi --max-tokens 1`
    And the pids of queen, hive and worker are noted
    And the worker is asked to infer without an end
    And the queen gets SIGTERM, and once more when it ends
    Then that answer breaks off within 5 s
    And the hive and worker are gone after 3 s
    And the queen exits with 0
    And nothing is running

  @beyond
  Scenario: The queen is stopped in mid-stream
    Given the setting times.grace_s is 1
    And a persistent queen
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And somebody else runs `rbee-keeper daemon stop`
    Then it exits with 1
    And the error is SHUTTING_DOWN
    And the text so far is saved, readable only by its owner
    And nothing is running
