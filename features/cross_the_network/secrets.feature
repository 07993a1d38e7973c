Feature: Secrets cross the network on the lifeline only

  @beyond
  Scenario: No key on a node: not in any command line, environment, output or log
    Given the setting log.level is "debug"
    And the environment has HF_TOKEN=hf_a-token-that-nobody-may-see
    And the node workstation
    And on workstation the setting log.level is "debug"
    And somebody has added workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then a hive and a worker run on workstation
    And no key and no token is in any command line, environment, output, log or command on workstation
    And it exits with 0
    And no key and no token is in any command line, environment, output, log or command on workstation
    And ~/.rbee on workstation holds no key

  @beyond
  Scenario: Without a key, a program that other machines reach says so
    When I run `llm-worker-rbee --model <home>/model.gguf --host 192.0.2.1 --insecure`
    Then it exits with 1
    And the error is ADDRESS_IN_USE
    And standard error says "INSECURE: anyone who can reach 192.0.2.1 can use this program without a key"
