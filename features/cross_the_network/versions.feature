Feature: Programs that talk to each other have the same version

  @t001-13
  Scenario: The node has a newer version: upgrade this machine
    Given the node workstation
    And version 0.2.0 is installed on workstation
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is VERSION_MISMATCH
    And the line of VERSION_MISMATCH names queen-rbee with its version, and rbee-hive with 0.2.0
    And it is a clear message with a next step
    And the next step says "this machine"
    And the next step says "pip install 'rbee==0.2.0'"
    And standard error says nothing of "rbee-keeper setup install"
    And nothing is running

  @t001-13
  Scenario: The node has an older version: upgrade the node
    Given the node workstation
    And version 0.0.9 is installed on workstation
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And standard error says "workstation is reachable; rbee 0.0.9, cpu"
    And standard output says "workstation is added, with rbee 0.0.9."
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is VERSION_MISMATCH
    And the line of VERSION_MISMATCH names queen-rbee with its version, and rbee-hive with 0.0.9
    And it is a clear message with a next step
    And the next step says "rbee-keeper setup install --node workstation --wheel"
    And standard error says nothing of "pip install"
    And nothing is running

  @beyond
  Scenario Outline: Over HTTP both programs and versions are in the details: the node has <version>
    Given the node workstation
    And version <version> is installed on workstation
    And somebody has added workstation
    And a persistent queen
    When a task is sent {"prompt": "hi", "max_tokens": 5, "node": "workstation"}
    Then the answer is the error VERSION_MISMATCH
    And its details give queen-rbee its version, and rbee-hive <version>
    And nothing is running on workstation after 5 s

    Examples:
      | version |
      | 0.2.0   |
      | 0.0.9   |
      | 0.10.0  |

  @beyond
  Scenario: A version that differs only in its patch number is a match
    Given the node workstation
    And a version with another patch number is installed on workstation
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0
    And nothing is running

  @beyond
  Scenario: The queen has another version than the keeper
    Given a queen that an operator started
    And a proxy between keeper and queen
    And behind the proxy the queen has version 0.2.0
    When I run `rbee-keeper infer --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is VERSION_MISMATCH
    And the line of VERSION_MISMATCH names rbee-keeper with its version, and queen-rbee with 0.2.0
    And the next step says "pip install 'rbee==0.2.0'"
    And no task reached the queen
    When I run `rbee-keeper doctor`
    Then it exits with 1
    And the doctor says that queen is a problem: "queen-rbee is 0.2.0"
    And the doctor says what to type: "rbee-keeper daemon stop"
