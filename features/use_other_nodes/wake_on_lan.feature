@beyond @wol
Feature: A node that sleeps is woken when it is needed
  Its network card gets a packet with its MAC address in it, and turns the machine on.

  Background:
    Given the node workstation
    And somebody has added workstation with --mac <workstation mac> --wake-address 127.255.255.255
    And the setting times.connect_s is 1

  Scenario: Two people ask a node that sleeps, and it is woken once
    Given a persistent queen
    And workstation sleeps, and boots within 2 s of a magic packet
    When two people run `rbee-keeper infer --node workstation --prompt hi --max-tokens 2` at once
    Then both exit with 0, and were told "[queen-rbee] ⏰ waking workstation (<workstation mac>): waiting until it answers, 120 s at most" and "workstation is awake, after "
    And the one that waited longest was told that it took 2 s or somewhat more
    And workstation was sent 1 magic packet
    When I run `rbee-keeper setup wake --node workstation`
    Then it exits with 0
    And standard output says "workstation is awake."
    And workstation was sent 1 magic packet
    Given workstation sleeps again, and boots within 0 s of a magic packet
    When I run `rbee-keeper setup wake --node workstation`
    Then it exits with 0
    And workstation was sent 1 magic packet

  Scenario: It is woken only if no other node can serve
    Given the Hub has lab/small with small.gguf, the small model
    And workstation sleeps, and boots within 1 s of a magic packet
    When I run `rbee-keeper hive status --node workstation`
    Then standard output says "unreachable"
    When I run `rbee-keeper models list --node workstation`
    Then it exits with 1
    When I run `rbee-keeper infer --prompt hi --max-tokens 2 --json`
    Then it exits with 0
    And localhost answered
    When I run `rbee-keeper infer --prompt hi --model hf:lab/smal`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And workstation was sent 0 magic packets
    Given the setting hive.command is "false"
    When I run `rbee-keeper worker start --model smollm2 --explain`
    Then it exits with 0
    And standard error says "placement: workstation can: it sleeps, and can be woken"
    And standard error says "waking workstation"
    And standard output says " runs on workstation: bundled:smollm2-135m-instruct, cpu:0"
    And workstation was sent 1 magic packet
    And the queen that was started is persistent

  Scenario: Who asks for something of its models wakes it
    Given workstation sleeps, and boots within 1 s of a magic packet
    When I run `rbee-keeper models verify smollm2 --node workstation`
    Then it exits with 0
    And workstation was sent 1 magic packet

  Scenario: It does not come
    Given the setting times.boot_s is 2
    And workstation sleeps, and never boots
    When I run `rbee-keeper hive start --node workstation`
    Then it exits with 1
    And the error is CONNECTION_TIMEOUT
    And standard error says "workstation was woken (<workstation mac>, by 127.255.255.255) and did not answer within 2 s"
    And the next step says "wake_address"
    And it took at least 2.0 s and less than 20 s
    And workstation was sent 1 magic packet
    When I run `rbee-keeper setup wake --node nobody`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And nothing is running

  Scenario: A node that is to be woken by hand only
    Given somebody has added workstation with --mac <workstation mac, with dashes> --wake-address 127.255.255.255:4009 --no-wake
    And workstation sleeps, and boots within 0 s of a magic packet to port 4009
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 2`
    Then it exits with 1
    And the error is CONNECTION_TIMEOUT
    And workstation was sent 0 magic packets
    And the registry has one row, of workstation, with
      | column | value       |
      | status | unreachable |
    When I run `rbee-keeper setup wake --node workstation --quiet`
    Then it exits with 0
    And workstation was sent 1 magic packet
    And the registry has one row, of workstation, with
      | column     | value     |
      | status     | reachable |
      | last_error | null      |
    And nothing is running
