@beyond
Feature: Without the key nothing is served but the health of queen and worker, and the proof that a daemon has the key

  Scenario: Every route of queen, hive and worker
    No body is sent, only announced: the key is checked before a body is read.
    Given a persistent queen, with a worker that has answered once
    When every route of queen, hive and worker is asked with each of these keys
      | key                             |
      | none                            |
      | a wrong one of the same length  |
      | its first half                  |
      | all but its last character      |
      | the key and one more character  |
      | one more character and the key  |
      | the key in the other case       |
      | the key without the word Bearer |
      | the key after the word Basic    |
    Then each but GET /health, the queen's GET /v1/health and GET /v1/auth/proof answers 401 with the error INVALID_API_KEY, which names the address that was asked
    And GET /health of queen and worker answers 200 each time
    And GET /v1/auth/proof of each answers 400 with the error INVALID_REQUEST, if nothing is asked
    And with the key every route answers in JSON, a stream, text or nothing, as the contract says
    And each proves that it has the key, in the way of the reference, if it is asked for its own address
    But asked for the address of another one, each answers 421
    And asked for its own loopback address from another machine, each answers 421
    And queen, hive and worker are still the same processes

  Scenario: A worker that is started by hand requires the key of this machine, too
    When a worker is started by hand with `--host 0.0.0.0`
    Then it answers GET /v1/ready with 401, if there is no key
    And it answers GET /v1/ready with 200, if the key is that of this machine
    And its standard error says nothing of "INSECURE"
    When a worker is started by hand with `--insecure`
    Then it answers GET /v1/ready without a key
    When a worker is started by hand with a key of its own in --api-key-file
    Then it answers GET /v1/ready with 401, if the key is that of this machine
    And it answers GET /v1/ready with 200, if the key is its own

  Scenario: The flag --insecure opens the door, and says so
    When an operator starts `queen-rbee daemon --insecure`
    And I run `rbee-keeper worker list`
    Then it exits with 0
    When an operator starts `queen-rbee daemon --host 0.0.0.0 --port 0 --insecure`
    Then its standard error soon says "INSECURE: anyone who can reach 0.0.0.0 can use this program without a key"
    And it answers GET /v2/workers/list without a key
    When an operator starts `queen-rbee daemon --host 0.0.0.0 --port 0`
    Then it answers GET /v2/workers/list with 401, if there is no key
    And its standard error soon says "UNENCRYPTED: keys and prompts that are sent to 0.0.0.0 can be read on the network"
    And its standard error says nothing of "INSECURE"

  Scenario: daemon start says what others on the network could read
    Given a free port of this machine, <free port>
    And the setting queen.host is "0.0.0.0"
    And the setting queen.port is <free port>
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And standard error says "UNENCRYPTED: keys and prompts that are sent there can be read on the network"
    And standard error says "rbee-keeper auth certificate"
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running
