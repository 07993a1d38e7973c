Feature: The queen gives up in good time on a node that does not answer

  @t001-14 @alone
  Scenario: Three attempts, each with a limit, with growing pauses
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And it shows times.connect_s as 10
    Given the added node workstation, whose SSH server is at port 2222
    And the setting times.connect_s is 0.5
    And workstation's SSH server is mute
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And standard error says "[queen-rbee] 🔌 pool preflight: connecting to workstation.home.arpa:2222, attempt 1 of 3 (limit 0.5 s)"
    And standard error says "attempt 2 of 3 in 200 ms (limit 0.5 s)"
    And standard error says "attempt 3 of 3 in 400 ms (limit 0.5 s)"
    And the error is CONNECTION_TIMEOUT
    And standard error says "workstation does not answer at workstation.home.arpa:2222 after 3 attempts: timeout, no answer within 0.5 s"
    And it is a clear message with a next step
    And the next step says "rbee-keeper hive status --node workstation"
    And the SSH server of workstation saw 3 connections, open for 0.5 s, with 200 and 400 ms in between
    And nothing is running

  @t001-14 @alone @wire
  Scenario: Connections are swallowed: three attempts, as the network sees them
    Given the added node workstation, whose SSH server is at port 2222
    And the setting times.connect_s is 0.5
    And workstation's SSH server swallows connections
    And somebody watches the wire
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is CONNECTION_TIMEOUT
    And standard error says "after 3 attempts"
    And the next step says "workstation"
    And it took at least 2.1 s and less than 10 s
    And 3 attempts to connect to workstation were seen on the network, 0.7 and 0.9 s apart
    And they began 0, 200 and 400 ms after they were announced
    And nothing is running

  @beyond
  Scenario: A node that comes back between two attempts is used
    Given the added node workstation
    And the setting times.connect_s is 3
    And workstation's SSH server is mute
    When I start `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    And after its first connection the SSH server of workstation serves again
    Then it exits with 0
    And standard error says "attempt 2 of 3 in 200 ms (limit 3 s)"
    And nothing is running

  @beyond
  Scenario: A node that went away is listed as unreachable, and no longer once it is back
    Given the added node workstation
    And some time has passed since somebody connected to workstation
    And the setting times.connect_s is 0.5
    And workstation's SSH server refuses connections
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is CONNECTION_REFUSED
    And the next step says "check that its SSH server runs"
    When I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And standard output says "unreachable"
    And standard error says "workstation does not answer at <workstation address>:<workstation port> after 3 attempts: refused"
    And the registry has one row, of workstation, with
      | column     | value       |
      | status     | unreachable |
      | last_error | workstation does not answer at <workstation address>:<workstation port> after 3 attempts: refused. |
    And the last connection to workstation is the one before
    When I run `rbee-keeper nodes`
    Then it exits with 0
    And standard output says "localhost: no hive runs"
    And standard output says "workstation: no hive runs, workstation does not answer at <workstation address>:<workstation port> after 3 attempts: refused."
    When I run `rbee-keeper hive status`
    Then it exits with 0
    And standard output has the row localhost, stopped, -, -, -, -
    And standard output has the row workstation, unreachable, -, -, -, -
    Given the setting times.connect_s is 10
    When workstation's SSH server serves again
    And I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 1`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column     | value     |
      | status     | reachable |
      | last_error | null      |
    And the last connection to workstation is newer than before
