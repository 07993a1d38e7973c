Feature: A prompt is answered on another machine

  @t001-07 @happy
  Scenario Outline: A cold start on a node that has nothing but SSH
    Given the added node workstation
    And the Hub of the node workstation has lab/smol with smol-Q4_1.gguf, the bundled model
    And the Hub sends 40 MB a second
    And on workstation the setting worker.mmap is false
    And a persistent queen
    And some time has passed since somebody connected to workstation
    When I run `rbee-keeper infer --node workstation --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 20 --temperature 0 --backend <backend> --device 0 --json`
    Then it exits with 0
    And a hive was started on workstation over SSH, after the question was asked
    And these words are shown, in this order
      | words                                                                                       |
      | [queen-rbee] 🔌 pool preflight: connecting to workstation.home.arpa                          |
      | [queen-rbee] 🐝 starting rbee-hive on workstation over SSH                                   |
      | [queen-rbee] 🔎 worker registry: no worker on workstation holds                              |
      | [queen-rbee] 🩺 pool preflight: rbee-hive <version> is alive at http://<workstation address> |
      | [model-provisioner] ⬇️ model provisioning                                                   |
      | % of 98 MB                                                                                  |
      | [device-manager] 🧮 worker preflight: memory is enough                                       |
      | [device-manager] 🔌 worker preflight: the backend <backend> is there                         |
      | [rbee-hive] 🚀 worker startup: starting worker-                                              |
      | [rbee-hive] 📝 registration: worker-                                                         |
      | [queen-rbee] ⏳ worker health: waiting until worker-                                         |
      | [queen-rbee] 💬 inference                                                                    |
    And each event of the narration names workstation
    And each line of the narration is its actor, its emoji and its text, as the events have them
    And standard error showed the progress in percent of 98 MB and in MB/s
    And the worker that was started called back, with its address on workstation
    And the loading progress was shown, layer by layer
    And the answer has exactly 20 tokens
    And the tokens are numbered from 0 without a gap
    And they arrived in at least 5 pieces
    And the catalog of workstation has one row for hf:lab/smol/smol-Q4_1.gguf, and this machine has none
    And the worker runs on workstation with the backend "<backend>" and the device "0", under its hive
    And the queen lists it as idle on workstation
    And the last connection to workstation is newer than before
    And its last_connected_unix is now

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |

  @beyond
  Scenario: Nothing runs but SSH, before and afterwards
    Given the added node workstation
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And the answer has exactly 20 tokens
    And nothing is running

  @beyond
  Scenario: The second prompt finds hive and worker running
    Given the added node workstation
    And a persistent queen
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard error says "workstation is not listed: no hive runs there. Ask it: --node workstation"
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the pids of the queen, and of hive and worker on workstation, are noted
    And I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And "worker startup" is shown as skipped
    And the answer has exactly 20 tokens
    And the queen, and hive and worker on workstation, are still the same processes

  @beyond
  Scenario: Another program has the hive's port: the hive takes a free one
    Given the added node workstation
    And a web site listens at port 9200 of workstation
    And a persistent queen
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And standard error says "port 9200 of workstation is held by"
    And the answer has exactly 20 tokens
    And on workstation the hive took another port than 9200, at its address
