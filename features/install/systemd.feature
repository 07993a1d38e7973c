@install @beyond
Feature: systemd units: what ends with a daemon, and what does not
  The harness plays systemd: it starts the words of ExecStart in an almost empty environment,
  and stops a unit as KillMode=mixed and TimeoutStopSec say: TERM to the first process, and KILL to
  whatever is left when that has ended, or when the time is up.

  Scenario: A queen with a hive of its own unit: each stops alone
    Given units written by `rbee-keeper install --systemd`
    And systemd starts rbee-hive and queen-rbee
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And systemd stops queen-rbee
    Then it ended by itself with 0, and nothing had to be killed
    And the queen is gone, and hive and worker are the same processes
    When systemd starts queen-rbee
    Then the queen lists that worker as idle
    When systemd stops rbee-hive
    Then it ended by itself with 0, and nothing had to be killed
    When systemd stops queen-rbee
    Then it ended by itself with 0, and nothing had to be killed
    And nothing is running

  Scenario: A queen that started its hive: all end in order, within the unit's time
    Given units written by `rbee-keeper install --systemd`
    And systemd starts queen-rbee
    And a task for 8000 tokens streams
    When systemd stops queen-rbee
    Then it ended by itself with 0, and nothing had to be killed
    And nothing is running

  Scenario: The units of a person: their programs, their config file, and the grace periods that are set
    Given the setting times.grace_s is 20
    And the config file is <home>/my 100% lab.toml, which RBEE_CONFIG names
    When I run `rbee-keeper install --systemd`
    Then it exits with 0
    And standard error says "at every login: systemctl --user daemon-reload && systemctl --user enable --now rbee-hive queen-rbee"
    And standard error says "from the machine's start: loginctl enable-linger"
    Given units written by `rbee-keeper install --systemd`
    Then in <home>/.config/systemd/user each unit has these lines, NAME being its program's
      | line                                                        |
      | Type=exec                                                   |
      | Environment="RBEE_CONFIG=<home>/my 100%% lab.toml"          |
      | ExecStart=<home>/.local/bin/NAME daemon                     |
      | Restart=on-failure                                          |
      | RestartSec=5                                                |
      | StartLimitIntervalSec=60                                    |
      | StartLimitBurst=5                                           |
      | KillMode=mixed                                              |
      | WantedBy=default.target                                     |
    And neither unit has a line User or Requires
    And queen-rbee starts after rbee-hive
    And queen-rbee has 60 s to stop, and some margin
    And rbee-hive has 40 s to stop, and some margin

  Scenario: Somebody else's unit is left alone, one of ours is updated
    Given units written by `rbee-keeper install --systemd`
    And the unit rbee-hive is one that somebody else wrote
    And the setting times.grace_s is 20
    When I run `rbee-keeper install --systemd`
    Then it exits with 1
    And standard error says "rbee-hive.service was written by somebody else, and is left alone"
    And the unit rbee-hive is unchanged
    And queen-rbee has 60 s to stop, and some margin

  @systemd
  Scenario Outline: systemd finds nothing wrong with them: <flags>
    When I run `rbee-keeper install --systemd <flags>`
    Then it exits with 0
    And systemd-analyze finds nothing wrong with the <kind> units in <folder>

    Examples:
      | flags  | kind | folder                      |
      | --user | user | <home>/.config/systemd/user |

    @mounts
    Examples: of a system
      | flags                        | kind   | folder                          |
      | --system --root <home>/image | system | <home>/image/etc/systemd/system |
