@beyond
Feature: An error for a mistake says how to correct it
  Never a traceback, never exit code 0, never something left running.

  Scenario Outline: <mistake>
    When I run `<command>`
    Then it exits with <code>
    And standard error says "<words>"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | mistake                             | command                                                 | code | words             |
      | an empty prompt                     | rbee-keeper infer --prompt ""                           | 2    | prompt            |
      | no prompt at all                    | rbee-keeper infer                                       | 2    | --prompt          |
      | an unknown option                   | rbee-keeper infer --prompt hi --max-token 5             | 2    | --max-tokens      |
      | an unknown command                  | rbee-keeper inver                                       | 2    | infer             |
      | an unknown command of a group       | rbee-keeper models lst                                  | 2    | 'list'            |
      | an unknown option of the group      | rbee-keeper --debgu infer --prompt hi                   | 2    | '--debug'         |
      | a command of another program        | rbee-keeper load smollm2                                | 2    | rbee-keeper worker start MODEL |
      | unload of another program           | rbee-keeper unload smollm2                              | 2    | rbee-keeper stop MODEL |
      | create of another program           | rbee-keeper create mine                                 | 2    | [models] aliases  |
      | push of another program             | rbee-keeper push mine                                   | 2    | hf upload         |
      | remove of another program           | rbee-keeper remove smollm2                              | 2    | rbee-keeper rm MODEL |
      | the model as an option of run       | rbee-keeper run --model smollm2 hi                      | 2    | The model comes first: rbee-keeper run MODEL |
      | the prompt as an option of run      | rbee-keeper run smollm2 --prompt hi                     | 2    | The prompt comes after the model |
      | an option of another program        | rbee-keeper show smollm2 --modelfile                    | 2    | rbee has no Modelfile |
      | a missing option                    | rbee-keeper hive start                                  | 2    | --node            |
      | a number that is none               | rbee-keeper infer --prompt hi --max-tokens many         | 2    | --max-tokens      |
      | a number that is not a number       | rbee-keeper infer --prompt hi --temperature nan         | 2    | --temperature must be a number |
      | a number out of its limits          | rbee-keeper infer --prompt hi --max-tokens -1           | 2    | max               |
      | an unknown model                    | rbee-keeper infer --prompt hi --model smolm2            | 1    | smollm2           |
      | a name of Ollama's                  | rbee-keeper infer --prompt hi --model llama3.2:3b       | 1    | rbee-keeper search llama3.2`, or |
      | a model file that does not exist    | rbee-keeper infer --prompt hi --model <missing>         | 1    | nowhere.gguf      |
      | a file that is not a GGUF           | rbee-keeper infer --prompt hi --model <no gguf>         | 1    | shopping-list.gguf |
      | an unknown node                     | rbee-keeper infer --prompt hi --node attic              | 1    | attic             |
      | an impossible address               | queen-rbee daemon --host not/an/address                 | 2    | not/an/address    |
      | an address of another machine       | queen-rbee daemon --host 192.0.2.1 --insecure           | 1    | 192.0.2.1         |
      | an impossible port                  | rbee-hive daemon --port 99999                           | 2    | 99999             |
      | a worker without a model            | llm-worker-rbee                                         | 2    | --model           |

  Scenario Outline: A config file with <mistake>
    Given a config file with the line `<line>`
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 2
    And standard error says "<words>"
    And standard error says "config.toml"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | mistake                  | line                       | words         |
      | an unknown key           | [worker] slot = 2          | slots         |
      | an unknown section       | [wroker] slots = 2         | worker        |
      | no TOML in it            | [worker slots = 2          | line          |
      | a value of another type  | [worker] slots = "many"    | slots         |

  Scenario Outline: <squatter> on the queen's port
    Given <squatter> listens at the queen's address
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And standard error says "<queen address>:8080"
    And standard error says "is not queen-rbee"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | squatter      |
      | a web site    |
      | a mute server |

  Scenario: A daemon on a port that is in use
    Given a hive that an operator started
    When I run `rbee-hive daemon`
    Then it exits with 1
    And the error is ADDRESS_IN_USE
    And standard error says "<hive address>:9200"
    And it is a clear message with a next step

  Scenario Outline: HOME is <what>
    Given HOME is <what>
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And standard error says "<path>"
    And standard error says "<reason>"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | what                            | path        | reason                    |
      | a file                          | /file/.rbee | Not a directory           |
      | a folder that can't be written  | /proc/.rbee | No such file or directory |

  Scenario: The help of a command
    When I run `rbee-keeper help models download`
    Then it exits with 0
    And standard output is what `rbee-keeper models download -h` prints
    And standard output says "Download MODEL"
    When I run `rbee-keeper help models lst`
    Then it exits with 2
    And standard error says "Did you mean"
    When I run `rbee-keeper -v`
    Then it exits with 0
    And standard output is what `rbee-keeper --version` prints

  Scenario: A worker without a model
    When I run `llm-worker-rbee --port 8001`
    Then it exits with 2
    And standard error says "Missing model. Pass --model /path/model.gguf."
