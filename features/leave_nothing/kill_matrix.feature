@beyond
Feature: Whatever is killed, whenever: nothing is left, and the next command works
  SIGKILL to one program in each phase of the work; benchmarks/kill_matrix.py does the same many
  times over, at moments drawn by lot, and docs/reliability.md has its figures.

  Scenario Outline: The <victim> is killed while <phase>, under a queen that is <lifetime>
    Given under a <lifetime> queen, a <victim> while it is <phase>
    When it is killed
    Then all that hung on it is gone after 10 s, and nothing else
    And the exit code told the truth
    And no port is held
    And no file is damaged
    And the next command works, and goes on with what had been fetched
    And nothing is running once the queen is told to stop

    Examples:
      | victim | phase       | lifetime  |
      | keeper | connecting  | ephemeral |
      | keeper | downloading | ephemeral |
      | keeper | loading     | ephemeral |
      | keeper | streaming   | lasting   |
      | keeper | idle        | ephemeral |
      | queen  | connecting  | ephemeral |
      | queen  | downloading | lasting   |
      | queen  | loading     | ephemeral |
      | queen  | streaming   | ephemeral |
      | queen  | idle        | lasting   |
      | hive   | connecting  | ephemeral |
      | hive   | downloading | ephemeral |
      | hive   | loading     | lasting   |
      | hive   | streaming   | ephemeral |
      | hive   | idle        | lasting   |
      | worker | connecting  | lasting   |
      | worker | downloading | lasting   |
      | worker | loading     | ephemeral |
      | worker | streaming   | ephemeral |
      | worker | idle        | lasting   |
