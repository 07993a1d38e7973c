@beyond
Feature: One command checks everything, and says what is wrong and what to type

  Scenario: All is well on a freshly installed machine
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And every finding of the doctor is fine
    And config, programs, state folder, API key, catalog, registry, models folder, backends, memory, queen, hive, worker ports, pid files, nodes and terminal were checked
    And the doctor says that config is fine: "/.config/rbee/config.toml is read"
    And the doctor says that memory is fine, of as much as the machine has
    And the doctor counts 0 problems and 0 warnings
    And nothing was written to the home folder
    And nothing is running

  Scenario: All is well with running daemons and a node
    Given the added node workstation
    And the node attic
    And somebody has added attic
    And a persistent queen, with a worker that has answered once
    When the pids of queen, hive and worker are noted
    And I run `rbee-keeper doctor --json`
    Then it exits with 0
    And the doctor's JSON has the same findings, all fine, and one for each of the nodes attic and workstation
    And it names queen and hive with their pids
    And queen, hive and worker are still the same processes

  Scenario: A queen that was started for the doctor ends with it
    Given the added node workstation
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that node workstation is fine: "it can be reached; rbee 0.1.0, its hive is stopped"
    And nothing is running

  Scenario Outline: It finds what is wrong: <fault>
    Given <fault>
    When I run `rbee-keeper doctor`
    Then it exits with 1
    And the doctor says that <where> is a problem: "<said>"
    And the doctor says what to type: "<type>"
    And everything else was checked
    And nothing is running that was not running before

    Examples: in what a person has written
      | fault                                            | where         | said                              | type                   |
      | a config file with the line `[hive] prot = 9300` | config        | unknown setting hive.prot         | Did you mean hive.port |
      | a config file with the line `[hive`              | config        | is not valid TOML                 | Correct that line      |
      | the environment has RBEE_CONFIG=/nowhere         | config        | /nowhere, which is not a file     | unset RBEE_CONFIG      |
      | the settings hive.command and worker.command are "/nowhere/x" | programs | rbee-hive: /nowhere/x: No such file or directory; llm-worker-rbee: /nowhere/x: No such file | [hive] command and [worker] command |
      | the setting queen.command is "sh -c 'echo queen-rbee, version 0.0.9'" | programs | queen-rbee is 0.0.9, but rbee-keeper is | pip install 'rbee== |
      | the setting queen.url is "ftp://q.home.arpa"     | queen         | is not an address of a queen      | https://HOST:PORT      |
      | the setting hive.host is "256.1.1.1"             | hive          | is not an address of this machine | [hive] host            |
      | the setting hive.worker_host is "256.1.1.1"      | worker ports  | is not an address of this machine | [hive] worker_host     |
      | the setting worker.command is "sleep 1000"       | programs      | does not say that it is llm-w     | [worker] command       |
      | the setting models.default is "file:/no/m.gguf"  | memory        | is not here                       | [models] default       |
      | the setting models.default is "<enormous>"       | memory        | which is more than this machine   | [models] default       |
      | the setting models.dir is "/proc/models"         | models folder | /proc/models can't be written     | [models] dir           |

    Examples: in files and permissions
      | fault                                  | where        | said                | type                         |
      | a key that others can read             | API key      | others may read     | chmod 600                    |
      | a key file that holds no key           | API key      | does not hold a key | Remove                       |
      | a state folder that is open to others  | state folder | is open to others   | chmod 700                    |
      | a file in the state folder that others may write | state folder | others may write | chmod go-w            |
      | HOME is a folder that can't be written | state folder | can't be written    | ls -ld                       |
      | there is a catalog, and it is damaged  | catalog      | is damaged          | rbee-keeper models list      |
      | there is a registry, and it is damaged | registry     | is damaged          | rbee-keeper setup list-nodes |

  @root
  Scenario: A state folder that belongs to somebody else
    Given a person without root
    And a state folder that belongs to root
    When I run `rbee-keeper doctor`
    Then it exits with 1
    And the doctor says that state folder is a problem: "can't be written: Permission denied"
    And the doctor says what to type: "sudo chown"

  Scenario: A terminal that can only show ASCII
    Given the environment has PYTHONIOENCODING=ascii
    And the config files RBEE_CONFIG and user, each with another queen.queue_limit
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And standard output says "is read; it hides <home>/.config/rbee/config.toml"
    And standard output says "it is set to ascii"
    And standard output says "0 problems, 1 warning"
