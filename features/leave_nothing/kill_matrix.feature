@beyond
Feature: Whatever is killed, at any time: nothing is left, and the next command works
  SIGKILL to one program in each phase of the work; benchmarks/kill_matrix.py does the same many
  times over, at random moments, and docs/reliability.md has its figures.

  Scenario Outline: The <victim> is killed while <phase>, under a queen that is <lifetime>
    Given under a <lifetime> queen, a <victim> while it is <phase>
    When it is killed
    Then everything that depended on it is gone after 10 s, and nothing else
    And the exit code was right
    And no port is still in use
    And no file is damaged
    And the next command works, and continues with what had been fetched
    And nothing is running once the queen is told to stop

    Examples:
      | victim | phase       | lifetime   |
      | keeper | connecting  | ephemeral  |
      | keeper | downloading | ephemeral  |
      | keeper | loading     | ephemeral  |
      | keeper | streaming   | persistent |
      | keeper | idle        | ephemeral  |
      | queen  | connecting  | ephemeral  |
      | queen  | downloading | persistent |
      | queen  | loading     | ephemeral  |
      | queen  | streaming   | ephemeral  |
      | queen  | idle        | persistent |
      | hive   | connecting  | ephemeral  |
      | hive   | downloading | ephemeral  |
      | hive   | loading     | persistent |
      | hive   | streaming   | ephemeral  |
      | hive   | idle        | persistent |
      | worker | connecting  | persistent |
      | worker | downloading | persistent |
      | worker | loading     | ephemeral  |
      | worker | streaming   | ephemeral  |
      | worker | idle        | persistent |
