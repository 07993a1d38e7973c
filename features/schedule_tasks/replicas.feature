@beyond @scheduling
Feature: A model that many ask for gets a second worker
  Where requests have waited for some seconds, and another device has room without ending anybody.
  The second worker goes by itself, as each worker does.

  Background:
    Given the setting worker.context is 2048
    And the setting worker.slots is 1
    And the setting queen.replicate_after_s is 2
    And the bundled model is on the disk as a

  Scenario: On another node that has the model on its disk
    Given the node workstation
    And on workstation the setting worker.slots is 1
    And the bundled model is on the disk of workstation too, as a
    And a hive that an operator started on workstation
    And workstation has been added by its hive's address
    And a persistent queen
    When a task for a streams on localhost, and two more wait
    Then workstation starts a worker for them, 2 s after the first of them came, and it answers both
    And the queen's metrics count 0 swaps, 0 evictions and 1 replica
    And the first task still streams
    When the task that streams is deleted
    And both workers have become idle
    And somebody asks a in turn
    Then the worker on localhost answered, though that of workstation is idle, too

  Scenario: A worker on a card is asked before one on the CPU, as long as it has a free slot
    Given a graphics card that has room for 1 worker
    And a persistent queen
    When I run `rbee-keeper worker start --model hf:lab/a/a.gguf --backend cpu`
    Then it exits with 0
    When I run `rbee-keeper worker start --model hf:lab/a/a.gguf --backend cuda`
    Then it exits with 0
    When somebody asks a in turn
    Then the worker on cuda answered
    When somebody asks a for an answer on cpu
    Then the worker on cpu answered
    When a task for a streams
    And somebody asks a in turn
    Then the worker on cpu answered

  Scenario: On a graphics card that is free beside the CPU, and it goes by itself
    Given the setting hive.idle_timeout_s is 2
    And a graphics card that has room for 1 worker
    And a persistent queen
    When a task for a streams on the CPU, and two more wait
    Then the hive starts a worker for them on the card, 2 s after the first of them came, and it answers both
    And the queen's metrics count 0 swaps, 0 evictions and 1 replica
    And that worker is gone by itself within 10 s, and the first task still streams
