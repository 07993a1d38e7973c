Feature: The first time, a person confirms that a machine is the right one

  Background:
    Given the node workstation

  @beyond
  Scenario: Without a terminal, the fingerprint is shown, with the flag that accepts it
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "--accept-host-key <workstation fingerprint>"
    And the SSH server of workstation let nobody in
    And the registry has no row

  @beyond
  Scenario: An accepted key is kept for later queens
    Given somebody has added workstation
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 0
    And ~/.rbee/known_hosts has the key of workstation, writable only by its owner
    And ~/.ssh/known_hosts is unchanged

  @beyond
  Scenario: A fingerprint that is not the accepted one
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "<workstation fingerprint>"
    And the SSH server of workstation let nobody in
    And the registry has no row

  @beyond
  Scenario: On a terminal the person is asked, and says yes
    When I type `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa` on a terminal
    And the terminal shows "Trust it? [y/N]"
    Then the terminal shows the fingerprint of workstation
    When I type "Yes" there
    Then it exits there with 0
    And the registry has one row, of workstation, with
      | column | value     |
      | status | reachable |
    And ~/.rbee/known_hosts has the key of workstation, writable only by its owner

  @beyond
  Scenario Outline: On a terminal the person is asked, and answers "<answer>"
    When I type `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa` on a terminal
    And the terminal shows "Trust it? [y/N]"
    And I type "<answer>" there
    Then it exits there with 1
    And the SSH server of workstation let nobody in
    And the registry has no row
    And nothing is running

    Examples:
      | answer |
      | n      |
      |        |

  @beyond
  Scenario Outline: A host key that has changed is refused by <line>
    Given somebody has added workstation
    And workstation's SSH server has another host key now
    When I run `<line>`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "the host key has changed"
    And standard error says "<workstation fingerprint>"
    And the next step says "ssh-keygen -R"
    And the next step says "-f ~/.rbee/known_hosts"
    And the SSH server of workstation let nobody in since then

    Examples:
      | line                                                                                                                                    |
      | rbee-keeper infer --node workstation --prompt hi --max-tokens 5                                                                         |
      | rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa                                                          |
      | rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>              |

  @beyond
  Scenario: There is no question about a machine that the person's ssh knows already
    Given the person's ssh knows the key of workstation
    And the person's only key is ~/.ssh/id_ecdsa
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column | value     |
      | status | reachable |
