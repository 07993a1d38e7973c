@beyond
Feature: HTTPS, with a certificate that one command makes
  Other machines reach a queen over a network that others use too. With a certificate nobody there reads keys
  and prompts, or passes for the queen.

  Scenario: One command makes a certificate, and the queen answers by every name
    When I run `rbee-keeper auth certificate --name llm.example.org --days 30 --use --json`
    Then it exits with 0
    And it made these files in ~/.rbee, and named certificate and key in the config file
      | file          | mode |
      | ca.pem        | 644  |
      | ca-key.pem    | 600  |
      | queen.pem     | 644  |
      | queen-key.pem | 600  |
    When an operator starts `queen-rbee daemon`
    Then over HTTPS the queen answers to each of these names, with a certificate for 30 days
      | name            |
      | localhost       |
      | 127.0.0.1       |
      | <queen address> |
      | llm.example.org |
    And over HTTPS nobody answers to the name www.example.org
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When I run `rbee-keeper daemon status`
    Then standard output says "https://<queen address>:8080"
    When the queen is sent POST /v2/tasks {"prompt": "hi"}
    Then the answer is 400 with the error TLS_FAILED
    And its details are {"host": "<queen address>", "port": 8080, "reason": "tls_required"}

  Scenario: Another CA, another name, and plain HTTP are told, each with what to do
    Given somebody else runs `rbee-keeper auth certificate --use`
    And a queen and a hive that an operator started
    And a server at <hive address> with a certificate of that CA that ended yesterday, at <port of yesterday>
    And a server at <hive address> with a certificate of that CA that begins tomorrow, at <port of tomorrow>
    When I run `rbee-keeper worker list` in each of these environments
      | variable                                    | says                                       | next step                    |
      | RBEE_QUEEN_CA=<a CA of somebody else>       | is not signed by a CA that is trusted here | [queen] ca                   |
      | RBEE_QUEEN_CA=<home>/nothing.pem            | No such file                               | [queen] ca                   |
      | RBEE_QUEEN_URL=https://<hive address>:8080  | is not for <hive address>                  | --name <hive address>        |
      | RBEE_QUEEN_URL=https://<hive address>:9200  | does not speak TLS                         | rbee-keeper auth certificate |
      | RBEE_QUEEN_URL=https://<hive address>:<port of yesterday> | has expired                  | Renew it on the queen's machine |
      | RBEE_QUEEN_URL=https://<hive address>:<port of tomorrow>  | is not valid yet             | sudo timedatectl set-ntp true   |
    Then each fails with a clear message that says so, and with that next step

  Scenario: A renewed certificate is shown from the next connection on, and an answer goes on meanwhile
    Given somebody else runs `rbee-keeper auth certificate --use`
    And the CA is noted
    And a queen that an operator started
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And somebody else runs `rbee-keeper auth certificate --name queen.home.arpa --name nas.internal --name 10.1.2.3`
    Then the queen shows the new certificate, of the same CA, within 5 s
    And its certificate is for 397 days
    And it exits with 0
    When I run `rbee-keeper auth certificate --name llm.example.org`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And the next step says "--new-ca"
    When somebody else runs `rbee-keeper auth certificate --new-ca`
    Then the queen shows the new certificate, of another CA, within 5 s

  Scenario: A queen that runs keeps to plain HTTP until it is restarted, and the keeper follows it
    Given a persistent queen
    When I run `rbee-keeper auth certificate`
    Then it exits with 0
    And standard output says "tls_cert = "<home>/.rbee/queen.pem""
    And standard output says "tls_key = "<home>/.rbee/queen-key.pem""
    And standard output says "url = "https://"
    Given somebody else runs `rbee-keeper auth certificate --use`
    When I run `rbee-keeper daemon status`
    Then it exits with 0
    And standard output says "http://<queen address>:8080"
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And standard output says "https://<queen address>:8080"
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running

  Scenario: A certificate without its key, with another one, or that has ended: the queen does not start
    Given somebody else runs `rbee-keeper auth certificate`
    And the setting queen.tls_cert is "<home>/.rbee/queen.pem"
    When I run `queen-rbee daemon`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And standard error says "queen.tls_cert is set, but queen.tls_key is not: HTTPS needs both"
    Given the setting queen.tls_key is "<home>/.rbee/ca-key.pem"
    When I run `queen-rbee daemon`
    Then it exits with 2
    And standard error says "it is not the key of <home>/.rbee/queen.pem"
    Given a server at <hive address> with a certificate of that CA that ended yesterday, at <port of yesterday>
    And the setting queen.tls_cert is "<home>/.rbee/stale-2.pem"
    And the setting queen.tls_key is "<home>/.rbee/stale-2.pem"
    When I run `queen-rbee daemon`
    Then it exits with 2
    And standard error says "it expired on"
    And nothing is running

  Scenario: More idle connections than there are places
    Given somebody else runs `rbee-keeper auth certificate --use`
    And a queen that an operator started
    When a stranger opens 700 connections to the queen, and sends nothing
    Then the queen has closed some of the stranger's connections, and has at most 512
