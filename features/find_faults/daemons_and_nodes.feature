@beyond
Feature: The doctor finds daemons that don't answer, ports in use and nodes out of reach

  Scenario Outline: It finds what is wrong: <fault>
    Given <fault>
    When I run `rbee-keeper doctor`
    Then it exits with 1
    And the doctor says that <where> is a problem: "<said>"
    And the doctor says what to type: "<type>"
    And everything else was checked
    And nothing is running that was not running before

    Examples: in daemons and ports
      | fault                                          | where | said                               | type                    |
      | a web site listens at the queen's address      | queen | which is not queen-rbee            | [queen] port            |
      | a queen that hangs                             | queen | but does not answer                | rbee-keeper daemon stop |
      | a hive that belongs to another machine's queen | hive  | does not accept this machine's key | kill                    |
      | a queen with another key                       | queen | does not accept this machine's key | kill                    |

    Examples: on nodes
      | fault                                          | where            | said               | type                                         |
      | an added node workstation with version 0.0.9   | node workstation | rbee-hive is 0.0.9 | rbee-keeper setup install --node workstation |
      | an added node workstation that is switched off | node workstation | refused            | ssh workstation                              |
      | an added node workstation without rbee         | node workstation | not installed      | rbee-keeper setup install --node workstation |

    @faketime
    Examples: in clocks
      | fault                                                    | where                | said                   | type        |
      | an added node workstation whose clock is 2 hours ahead   | clock of workstation | s ahead of the queen's | timedatectl |
      | an added node workstation whose clock is 6 minutes ahead | clock of workstation | s ahead of the queen's | timedatectl |

    @tmpfs
    Examples: on disks
      | fault                                  | where         | said        | type                          |
      | the models folder is on a disk of 9 MB | models folder | only 0.0 GB | rbee-keeper models disk-usage |
      | the models folder is on a disk of 420 MB | models folder | only 0.4 GB | rbee-keeper models disk-usage |

  Scenario: A graphics card that llama.cpp can't use is a warning
    Given a graphics card with 24000 MiB free
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that backends is a warning: "not on everything that is here"
    And the doctor says what to type: "CMAKE_ARGS=-DGGML_CUDA=on"

  Scenario: What a killed daemon left behind is a warning
    Given a hive that an operator started
    And the hive dies of SIGKILL
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that pid files is a warning: "hive-rbee.pid"
    And the doctor says what to type: "rm "
    And the doctor counts 0 problems and 1 warning
    When I type what the doctor advises
    And I run `rbee-keeper doctor`
    Then every finding of the doctor is fine

  Scenario: A broken-off download is a warning
    Given the Hub has lab/small with small.gguf, the small model
    And a transfer resets at 40 % of the file, each time
    And a download of hf:lab/small that broke off
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that downloads is a warning: "small.gguf: not complete yet, 6 MB"

  Scenario Outline: It warns, and that is no error: <fault>
    Given <fault>
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that <where> is a warning: "<said>"
    And the doctor says what to type: "<type>"
    And the doctor counts 0 problems and 1 warning

    Examples: on this machine
      | fault                                             | where        | said                                     | type               |
      | a config file that others may write               | config       | others may write                         | chmod go-w         |
      | a key that is short enough to be guessed          | API key      | is short enough to be guessed            | restart            |
      | somebody else runs `rbee-keeper auth certificate --days 10 --use` | certificate | expires in 9 days         | rbee-keeper auth certificate |
      | PATH has another queen-rbee of version 0.0.9      | programs     | /home/bin/queen-rbee is 0.0.9            | rbee-keeper install |
      | the environment has PATH=/usr/bin:/bin            | programs     | PATH does not have rbee-keeper, queen-rbee, rbee-hive, llm-worker-rbee | rbee-keeper install |
      | a web site listens at the first worker's address  | worker ports | is held by                               | end that program   |
      | a web site listens at the hive's address          | hive         | is held by                               | set another [hive] |

    @tmpfs
    Examples: on disks
      | fault                                     | where         | said        | type                          |
      | the models folder is on a disk of 600 MB  | models folder | only 0.6 GB | rbee-keeper models disk-usage |
      | the models folder is on a disk of 1900 MB | models folder | only 1.9 GB | rbee-keeper models disk-usage |

    @faketime
    Examples: in clocks
      | fault                                                     | where                | said                   | type        |
      | an added node workstation whose clock is 30 seconds ahead | clock of workstation | s ahead of the queen's | timedatectl |
      | an added node workstation whose clock is 4 minutes ahead  | clock of workstation | s ahead of the queen's | timedatectl |
