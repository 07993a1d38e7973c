@install
Feature: An administrator installs rbee for everybody on a machine

  @t001-55
  Scenario: Below another root
    When I run `rbee-keeper install --system --root <home>/image`
    Then it exits with 0
    And the four programs in <home>/image/usr/local/bin answer with their version
    And <home>/image/var/lib/rbee/models is a folder
    And with <home>/image/etc/rbee/config.toml only models.dir changes, to "/var/lib/rbee/models"
    And <home>/image/etc/rbee/config.toml can be read by everybody, and written by its owner
    And standard error says "rbee-keeper doctor"
    And standard error says nothing of "PATH"
    When the contents of the home folder are noted
    And I run `rbee-keeper install --system --root <home>/image`
    Then it exits with 0
    And the home folder is unchanged

  @t001-55 @mounts
  Scenario: In its own place
    Given root, on a machine <machine>
    When I run `rbee-keeper install --system --systemd`
    Then it exits with 0
    And the four programs in <machine>/usr/local/bin answer with their version
    And <machine>/var/lib/rbee/models is a folder
    And with <machine>/etc/rbee/config.toml only models.dir changes, to "/var/lib/rbee/models"
    And <machine>/etc/systemd/system has the units of queen and hive
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And it shows models.dir as "/var/lib/rbee/models"

  @t001-55
  Scenario Outline: Without root it says so, with the command to run: <flags>
    Given a person without root
    When I run `rbee-keeper install --system <flags>`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "--system needs root"
    And the next step says "sudo "
    And the next step says "rbee-keeper install --system <flags>"

    Examples:
      | flags                    |
      | --systemd                |
      | --root /usr/share/nobody |

  @beyond
  Scenario: Units come with it
    When I run `rbee-keeper install --system --root <home>/image --systemd`
    Then it exits with 0
    And <home>/image/etc/systemd/system has the units of queen and hive
    And in <home>/image/etc/systemd/system each unit has these lines, NAME being its program's
      | line                                   |
      | Type=exec                              |
      | User=rbee                              |
      | ExecStart=/usr/local/bin/NAME daemon   |
      | Restart=on-failure                     |
      | RestartSec=5                           |
      | KillMode=mixed                         |
      | Wants=network-online.target            |
      | After=network-online.target            |
      | WantedBy=multi-user.target             |
    And <home>/image/etc/systemd/system/queen-rbee.service can be read by everybody, and written by its owner
    And standard error says "useradd --system --gid rbee --home-dir /var/lib/rbee "
    And standard error says "sudo chown -R rbee: /var/lib/rbee"
    And standard error says "sudo chgrp -R rbee /var/lib/rbee/models"
