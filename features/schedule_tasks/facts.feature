@beyond @scheduling
Feature: What a node has is known before anybody asks
  A hive tells what its node can compute on, has free, and has on disk, and each change of it. So no
  question waits until the nodes have been asked.

  Scenario: A hive tells what its node has, and what comes and goes
    Given a hive that an operator started
    When somebody watches the hive's events
    Then they are told the facts of the node, as the hive answers who asks it
    When a person places the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    Then they are told within 10 s that hf:lab/smol/smol-Q4_1.gguf is there, with its size and the memory that it needs
    When somebody asks the hive to delete hf:lab/smol/smol-Q4_1.gguf
    Then they are told within 10 s that no model is there

  Scenario: A hive says whose memory is taken in what it tells
    Given a hive that an operator started
    When somebody watches the hive's events
    Given the hive has 1 worker
    Then they are told within 10 s that the memory of that worker is counted
    When the worker is told to shut down through its hive
    Then they are told within 10 s that the memory of no worker is counted

  Scenario: A question for a worker that is ready asks its node for nothing else
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    When the queen has seen that worker idle, and I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    And meanwhile the node was asked for that answer only

  Scenario: What a hive tells while its stream is broken is not lost
    Given a hive and a queen that an operator started, with a proxy between queen and node
    And somebody watches the queen's events
    When I run `rbee-keeper infer --prompt hi --max-tokens 2`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And the proxy breaks the stream of the hive's events, and lets no other through
    And the worker is killed
    And the hive lists no worker after 5 s
    And the proxy lets streams through again
    Then the queen told within 5 s that the worker was killed
    And it asked for what came after the last event, and missed 1 event or more
