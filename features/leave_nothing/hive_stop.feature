Feature: A hive that is told to stop takes its workers with it, in order

  @t001-49 @lifecycle @critical @B5.5 @B8.1 @B8.2 @B8.3
  Scenario: SIGTERM to a hive with three workers
    Given the Hub has lab/small with small.gguf, the small model
    And a hive that an operator started
    And hf:lab/small/small.gguf has been fetched before
    And the hive has 3 workers
    And they listen on the ports 8001, 8002 and 8003
    And somebody watches the wire
    And somebody watches the hive's events
    And the endings of the hive and its workers are watched
    When the hive gets SIGTERM
    Then the hive exits with 0
    And every worker ended before the hive, and the kernel says that each exited with 0
    And the hive sent each worker POST /v1/admin/shutdown, once, and each answered 202
    And the hive reported that it ends 3 workers, and that each is gone, with 0
    And nothing is running
    And the catalog is intact, and has what it had
    When a hive is started
    And the hive is asked for its workers
    Then the reply is exactly {"workers": []}
    And the hive's list has hf:lab/small/small.gguf as ready

  @beyond
  Scenario: SIGTERM in mid-stream
    The worker lets the stream end within the grace period, and no longer.
    Given the setting times.grace_s is 2
    And a queen and a hive that an operator started
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 4000 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And the hive gets SIGTERM
    Then it exits with 1
    And the text so far is saved, readable only by its owner
    And the hive exits with 0
    And the hive and worker are gone after 0 s
    And the queen is still the same process

  @beyond
  Scenario: A person stops the hive while requests wait
    What streams ends with it; what waits needs a hive, and gets another one.
    Given the setting worker.slots is 1
    And the setting times.grace_s is 1
    And a persistent queen, with a worker that has answered once
    When a task for 4000 tokens streams
    And the tasks first and second wait in the queue
    And I run `rbee-keeper hive stop --node localhost`
    Then it exits with 0
    And standard output says "The hive on localhost has ended."
    And standard error says "Requests that wait have started another one: http://"
    And the stream ends with the error WORKER_CRASHED and [DONE]
    And the tasks first and second are answered
    And it is another hive that runs now, of the same queen

  @beyond
  Scenario: SIGTERM while two workers answer
    All of them are told at the same time, and each has the whole grace period.
    Given the setting times.grace_s is 2
    And a hive that an operator started
    And the hive has 2 workers
    And each of them is streaming an answer of 8000 tokens
    When the hive gets SIGTERM
    Then each answer goes on for 2 s, and ends with SHUTTING_DOWN
    And the hive exits with 0

  @beyond
  Scenario: A second SIGTERM, which waits for no answer
    Given the setting times.grace_s is 20
    And a hive that an operator started
    And the hive has 1 worker
    And each of them is streaming an answer of 8000 tokens
    When the hive gets SIGTERM, and once more when it ends
    Then each answer breaks off within 10 s of that
    And the hive exits with 0, within 10 s of that
    And nothing is running

  @beyond
  Scenario: SIGTERM while an answer is nearly complete
    Given the setting times.grace_s is 20
    And a hive that an operator started
    And the hive has 1 worker
    And each of them is streaming an answer of 150 tokens
    When the hive gets SIGTERM
    Then each answer is complete, with 150 tokens
    And the hive exits with 0, within 3 s of that

  @beyond
  Scenario Outline: <signal> is as good as SIGTERM
    Given a hive that an operator started
    And the hive has 1 worker
    And somebody watches the hive's events
    When the hive gets <signal>
    Then the hive exits with 0
    And the hive reported that it ends 1 worker, and that it is gone, with 0
    And nothing is running

    Examples:
      | signal |
      | SIGINT |
      | SIGHUP |

  @beyond
  Scenario: Under nohup a hangup ends nothing
    Given a hive that an operator started under nohup
    When the hive gets SIGHUP
    And the hive gets SIGTERM
    Then the hive exits with 0
    And its log says that SIGTERM ended it, and nothing of SIGHUP
