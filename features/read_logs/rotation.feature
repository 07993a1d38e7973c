@beyond
Feature: A log does not fill the disk

  Scenario: Files are rotated, and the oldest are deleted
    Given the setting log.max_mb is 0.001
    And the setting log.files is 3
    And a persistent queen, with a worker that has answered once
    When I start `rbee-keeper logs --node localhost --follow --lines 10000`
    And its first lines appear
    And 5 workers are started and ended, one after the other
    Then rbee-hive.log has been put aside more than twice, and there are 3 files of it
    And there are 3 files of queen-rbee.log
    And no log file is larger than 10 kB
    And the kernel says that queen and hive write to the newest files
    When the keeper gets SIGINT
    Then it exits with 130
    And what is left of rbee-hive's log is what was shown last of it
    When I run `rbee-keeper logs --node localhost --lines 10000`
    Then it exits with 0
    And it shows the log of rbee-hive on localhost whole, and each line once

  Scenario: Of one file only, what is full is deleted
    Given the setting log.max_mb is 0.001
    And the setting log.files is 1
    And a persistent queen, with a worker that has answered once
    When I run `rbee-keeper worker start --model smollm2`
    Then it exits with 0
    And the log of rbee-hive does not begin with its start any more, and is at most one file

  Scenario: The file of a daemon is moved away
    Given a persistent queen, with a worker that has answered once
    When the log files of hive and worker are moved away
    Then hive and worker write to new ones within 5 s

  Scenario: Every daemon rotates as configured
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And it shows log.max_mb as 10
    And it shows log.files as 3
