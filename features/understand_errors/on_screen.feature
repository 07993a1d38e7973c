@edge-case
Feature: What goes wrong with a node, as a person at a terminal sees it
  What happened, the next step right below it, and the correlation id of the log lines.

  @t001-36
  Scenario: EC1: nothing answers on the node
    Given the added node workstation
    And the setting times.connect_s is 0.5
    And workstation's SSH server is mute
    When I type `rbee-keeper infer --node workstation --prompt hi --max-tokens 5` on a terminal
    Then it exits there with 1
    And the screen says "connecting to workstation.home.arpa:<workstation port>, attempt 1 of 3 (limit 0.5 s)"
    And the screen says "workstation.home.arpa:<workstation port>, attempt 2 of 3 in 200 ms (limit 0.5 s)"
    And the screen says "workstation.home.arpa:<workstation port>, attempt 3 of 3 in 400 ms (limit 0.5 s)"
    And the screen shows CONNECTION_TIMEOUT, and right below it the next step
    And the screen says "after 3 attempts"
    And the screen's next step says "workstation"
    And the screen's next step says "rbee-keeper hive status --node workstation"
    And nothing is running

  @t001-38
  Scenario: EC3: the model does not fit into the node's memory
    Given the setting worker.context is 512
    And a graphics card with 3815 MiB free
    And lab/giant/giant-Q8_0.gguf in the models folder is a model of 5000 MB
    And a person placed the small Q2_K model at lab/giant/giant-Q2_K.gguf in the models folder
    When I type `rbee-keeper infer --node localhost --model hf:lab/giant:Q8_0 --backend cuda --prompt hi` on a terminal
    Then it exits there with 1
    And the screen shows VRAM_EXHAUSTED, and right below it the next step
    And the screen says "localhost has 4000 MB free on cuda:0, but the model needs 6000 MB"
    And the screen's next step says "smaller quantization"
    And the screen's next step says "--model hf:lab/giant/giant-Q2_K.gguf"
    And nothing is running

  @t001-43
  Scenario Outline: EC8: the node has version <version>
    Given the node workstation
    And version <version> is installed on workstation
    And somebody has added workstation
    When I type `rbee-keeper infer --node workstation --prompt hi --max-tokens 5` on a terminal
    Then it exits there with 1
    And the screen shows VERSION_MISMATCH, and right below it the next step
    And the screen names queen-rbee with its version, and rbee-hive with <version>
    And the screen's next step says "<command>"
    And nothing is running

    Examples:
      | version | command                                              |
      | 0.2.0   | pip install 'rbee==0.2.0'                            |
      | 0.0.9   | rbee-keeper setup install --node workstation --wheel |

  @t001-44
  Scenario: EC9: the keeper has a wrong key for the queen
    Given a queen that an operator started
    And the file <home>/wrong-key with another key
    When the queen is asked for its state with a wrong key
    Then the answer is 401 with the error INVALID_API_KEY
    And its details are exactly host
    Given the setting auth.api_key_file is "<home>/wrong-key"
    When I type `rbee-keeper infer --prompt hi --max-tokens 5` on a terminal
    Then it exits there with 1
    And the screen shows INVALID_API_KEY, and right below it the next step
    And the screen says "<queen address>:8080"
    And the screen's next step says "[auth]"
    And the screen's next step says "<home>/.config/rbee/config.toml"
    Given the config file is <home>/lab.toml, which RBEE_CONFIG names
    When I type `rbee-keeper infer --prompt hi --max-tokens 5` on a terminal
    Then it exits there with 1
    And the screen's next step says "<home>/lab.toml"

  @t001-44
  Scenario: EC9: the queen has a wrong key for a hive
    Given the node workstation
    And a hive that an operator started on workstation
    And workstation has been added by its hive's address, with a copy of its key
    And a persistent queen
    And the hive of workstation gets another key, and is started again
    When the hive of workstation is asked with the key of before
    Then the answer is 401 with the error INVALID_API_KEY
    And its details are exactly host
    When I type `rbee-keeper infer --node workstation --prompt hi --max-tokens 5` on a terminal
    Then it exits there with 1
    And the screen shows INVALID_API_KEY, and right below it the next step
    And the screen says "<workstation address>:9200"
    And the screen's next step says "[nodes.workstation]"
    And the screen's next step says "<home>/.config/rbee/config.toml"
    And the screen's next step says "rbee-keeper setup add-node --name workstation --hive-url http://<workstation address>:9200 --api-key-file"
