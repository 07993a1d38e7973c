@beyond
Feature: Every setting has one default, and a place that counts

  Scenario Outline: What <command> does when nobody has set anything
    Given an empty config file
    And the environment has RBEE_BACKUP_DIR=/backup
    When I run `<command> --show-settings`
    Then it exits with 0
    And it shows these settings, and no others
      | setting                    | value       |
      | queen.host                 | "127.0.0.1" |
      | queen.port                 | 8080        |
      | queen.queue_limit          | 64          |
      | queen.operator_weight      | 1           |
      | queen.swap_patience_s      | 20          |
      | queen.replicate_after_s    | 10          |
      | hive.host                  | "127.0.0.1" |
      | hive.port                  | 9200        |
      | hive.idle_timeout_s        | 300         |
      | hive.health_interval_s     | 30          |
      | hive.health_misses         | 3           |
      | hive.loading_stall_s       | 300         |
      | hive.standby_workers       | 1           |
      | worker.slots               | 4           |
      | worker.mmap                | true        |
      | worker.cache_ram_mb        | 1024        |
      | worker.template_s          | 10          |
      | models.aliases             | {}          |
      | models.download_stall_s    | 30          |
      | models.fetch_from_nodes    | true        |
      | times.connect_s            | 10          |
      | times.boot_s               | 120         |
      | times.lifeline_heartbeat_s | 5           |
      | times.lifeline_lease_s     | 30          |
      | times.grace_s              | 5           |
      | times.stream_silence_s     | 30          |
      | times.reply_stall_s        | 60          |
      | auth.hosts                 | []          |
      | auth.origins               | []          |
      | log.level                  | "info"      |
      | log.format                 | "text"      |
      | log.max_mb                 | 10          |
      | log.files                  | 3           |

    Examples:
      | command           |
      | queen-rbee daemon |
      | rbee-hive daemon  |
      | llm-worker-rbee   |

  Scenario: Flags before the environment, the environment before the file, the file before the defaults
    Given a config file, an environment and flags with these settings
      | setting                    | file               | environment         | flag of           | flag       |
      | queen.host                 | "127.9.0.1"        | "127.9.0.2"         | queen-rbee daemon | "127.9.0.3" |
      | queen.port                 | 8181               | 8182                | queen-rbee daemon | 8183       |
      | queen.url                  | "http://q.home.arpa:1" | "http://q.home.arpa:2" |             |            |
      | queen.ca                   | "/ca"              | "/ca two"           |                   |            |
      | queen.tls_cert             | "/cert"            | "/cert two"         |                   |            |
      | queen.tls_key              | "/key"             | "/key two"          |                   |            |
      | queen.queue_limit          | 65                 | 66                  |                   |            |
      | queen.operator_weight      | 2                  | 0.5                 |                   |            |
      | queen.swap_patience_s      | 21                 | 22.5                |                   |            |
      | queen.replicate_after_s    | 11                 | 0                   |                   |            |
      | queen.command              | "queen one"        | "queen two"         |                   |            |
      | hive.host                  | "127.9.1.1"        | "127.9.1.2"         | rbee-hive daemon  | "127.9.1.3" |
      | hive.port                  | 9201               | 9202                | rbee-hive daemon  | 9203       |
      | hive.worker_host           | "127.9.2.1"        | "127.9.2.2"         |                   |            |
      | hive.idle_timeout_s        | 301                | 302.5               |                   |            |
      | hive.health_interval_s     | 31                 | 32                  |                   |            |
      | hive.health_misses         | 4                  | 5                   |                   |            |
      | hive.loading_stall_s       | 301                | 302                 |                   |            |
      | hive.standby_workers       | 2                  | 0                   |                   |            |
      | hive.command               | "hive one"         | "hive two"          |                   |            |
      | worker.slots               | 5                  | 6                   | llm-worker-rbee   | 7          |
      | worker.context             | 1024               | 2048                | llm-worker-rbee   | 4096       |
      | worker.threads             | 2                  | 3                   |                   |            |
      | worker.mmap                | false              | true                |                   |            |
      | worker.cache_ram_mb        | 100                | 200                 |                   |            |
      | worker.template_s          | 20                 | 30                  |                   |            |
      | worker.command             | "worker one"       | "worker two"        |                   |            |
      | models.dir                 | "/one"             | "/two"              |                   |            |
      | models.default             | "one"              | "two"               |                   |            |
      | models.download_stall_s    | 31                 | 32                  |                   |            |
      | models.fetch_from_nodes    | true               | false               |                   |            |
      | times.connect_s            | 11                 | 12                  |                   |            |
      | times.boot_s               | 121                | 122                 |                   |            |
      | times.lifeline_heartbeat_s | 6                  | 7                   |                   |            |
      | times.lifeline_lease_s     | 31                 | 32                  |                   |            |
      | times.grace_s              | 6                  | 7                   |                   |            |
      | times.stream_silence_s     | 31                 | 32                  |                   |            |
      | times.reply_stall_s        | 61                 | 62                  |                   |            |
      | paths.catalog_db           | "/one.db"          | "/two.db"           |                   |            |
      | paths.beehives_db          | "/three.db"        | "/four.db"          |                   |            |
      | auth.api_key_file          | "/one.key"         | "/two.key"          |                   |            |
      | auth.hosts                 | ["one.example"]    | ["two.example", "three.example"] |      |            |
      | auth.origins               | ["http://one.example"] | ["*"]           |                   |            |
      | log.level                  | "debug"            | "error"             |                   |            |
      | log.format                 | "json"             | "text"              |                   |            |
      | log.max_mb                 | 1.5                | 2.5                 |                   |            |
      | log.files                  | 4                  | 5                   |                   |            |
      | remote.binary_path         | "/one/rbee-hive"   | "/two/rbee-hive"    |                   |            |
      | remote.git_repo_dir        | "/one"             | "/two"              |                   |            |
    Then with the file alone every daemon shows the file's values
    And with file and environment every daemon shows those of the environment
    And with all three each daemon shows its flags' values, and else those of the environment
    And `rbee-hive daemon --addr 127.9.1.4:9204` shows that host and that port

  Scenario Outline: A setting that no place knows is refused, by the name of the nearest: <variable>
    Given the environment has <variable>=5
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And standard error says "<variable>"
    And the next step says "Did you mean <nearest>?"

    Examples:
      | variable                | nearest             |
      | RBEE_HIVE_IDLE_TIMOUT_S | hive.idle_timeout_s |
      | RBEE_QUEN_PORT          | queen.port          |

  Scenario Outline: What is wrong in the config file is named: <line>
    Given a config file with the line `<line>`
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And standard error says "config.toml: <said>"
    And the next step says "<step>"

    Examples:
      | line                          | said                                 | step                        |
      | [queen] port = "8081"         | queen.port is not valid              | Correct queen.port in       |
      | [nodes.attic] shh_host = "a"  | unknown setting nodes.attic.shh_host | Did you mean ssh_host?      |
      | [nodes.attic] ssh_port = "22" | nodes.attic.ssh_port is not valid    | Correct nodes.attic.ssh_port in |

  Scenario: Each number has its limits
    Then the least and the most of each are taken, and what is below or above is refused
      | setting               | below | least | most     | above     |
      | queen.queue_limit     | -1    | 0     | 100000   | 100001    |
      | queen.swap_patience_s | -0.1  | 0     | 31536000 | 31536001  |
      | queen.replicate_after_s | -0.1 | 0    | 31536000 | 31536001  |
      | queen.operator_weight | 0     | 0.01  | 100      | 101       |
      | hive.health_misses    |       | 1     | 100      | 101       |
      | hive.standby_workers  | -1    | 0     | 16       | 17        |
      | worker.context        | 63    | 64    | 16777216 | 16777217  |
      | worker.threads        | 0     | 1     | 1024     | 1025      |
      | worker.slots          | 0     | 1     | 256      | 257       |
      | worker.cache_ram_mb   | -1    | 0     | 16777216 | 16777217  |
      | times.connect_s       | 0     | 0.001 | 31536000 | 31536001  |
      | log.max_mb            | 0     | 0.001 | 100000   | 100001    |
      | log.files             | 0     | 1     | 100      | 101       |

  Scenario Outline: A value out of its limits is refused: <setting> <value>
    Given the environment has <variable>=<value>
    When I run `rbee-hive daemon --show-settings`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And standard error says "<variable>: <setting> is not valid"
    And the next step says "<variable>"

    Examples:
      | variable                | setting             | value |
      | RBEE_HIVE_PORT          | hive.port           | 65536 |
      | RBEE_HIVE_HEALTH_MISSES | hive.health_misses  | 0     |
      | RBEE_WORKER_SLOTS       | worker.slots        | 257   |
      | RBEE_TIMES_GRACE_S      | times.grace_s       | 0     |
      | RBEE_LOG_LEVEL          | log.level           | loud  |
