@beyond @wire
Feature: What the programs say to each other
  Read from the network while it passes, whatever the programs say of themselves.

  Scenario: From a prompt to its answer, where no worker runs
    The queen listens before it lets anything be started.
    Given somebody watches the wire
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    Then these requests passed, in this order, each answered with its status
      | from   | to     | request                  | status |
      | queen  | hive   | GET /v1/events           | 200    |
      | keeper | queen  | POST /v2/tasks           | 200    |
      | queen  | hive   | GET /v1/health           | 200    |
      | queen  | hive   | POST /v1/models/download | 200    |
      | queen  | hive   | POST /v1/workers/spawn   | 200    |
      | worker | hive   | POST /v1/workers/ready   | 200    |
      | queen  | worker | POST /v1/inference       | 200    |
    And one correlation id leads from the keeper's task to POST /v1/models/download, POST /v1/workers/spawn and POST /v1/inference
    And every request to a route that is not open had the key in a header, and no URL had it
    And each proof of the key was asked for with a number of its own, of 128 bits
    And the keeper's summary has as many tokens as passed the queen

  Scenario: Where two workers hold the model, one of them is asked
    Given a persistent queen, with a worker that has answered once
    And the hive has 2 workers
    And somebody watches the wire
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the queen asked one of the workers, once, and the others for nothing

  Scenario: The queen passes each token on at once
    Given a persistent queen, with a worker that has answered once
    And somebody watches the wire
    When I run `rbee-keeper infer --prompt "write a long story" --max-tokens 80 --temperature 0`
    Then it exits with 0
    And at least half of the 80 tokens passed the queen before the next but one was made

  Scenario: A cancel goes down to the worker
    Given a persistent queen, with a worker that has answered once
    And somebody watches the wire
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the keeper gets SIGINT
    Then it exits with 130
    And within 5 s keeper and queen each sent a DELETE for that request
    And the worker becomes idle

  Scenario: A queen that is told to stop tells its hive, which tells its worker
    Given a persistent queen, with a worker that has answered once
    And somebody watches the wire
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And these requests passed, in this order, each answered with its status
      | from   | to     | request                 | status |
      | keeper | queen  | POST /v1/admin/shutdown | 202    |
      | queen  | hive   | POST /v1/admin/shutdown | 202    |
      | hive   | worker | POST /v1/admin/shutdown | 202    |
    And nothing is running

  Scenario: A stream on which nothing happens is kept alive
    Given a persistent queen, with a worker that has answered once
    And somebody watches the wire
    When queen, hive and worker are listened to, and nothing happens
    Then queen and worker have sent 2 comments each, 10 s apart, and no hive is silent longer
