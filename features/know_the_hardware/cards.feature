@beyond
Feature: A node whose llama.cpp can use its graphics cards
  The cards exist as far as nvidia-smi and the worker's program report them.

  Background:
    Given the setting worker.context is 512
    And graphics cards with 3815 and 7630 MiB free

  Scenario: The card with the most free memory is used
    Given a llama.cpp that can use them
    And a queen and a hive that an operator started
    Then the hive says that it computes on both cards and the CPU, with what is free on each
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the preflight reports 118 MB needed and 8000 MB free on cuda:1
    And standard error says "the backend cuda is there, device 1"
    And the only worker is idle, with the model bundled:smollm2-135m-instruct, on cuda 1
    And the hive started workers on cuda 1
    When I run `rbee-keeper infer --backend cuda --device 0 --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the hive started workers on cuda 1, and then on cuda 0

  Scenario Outline: What is asked for counts: <flags>
    Given a llama.cpp that can use them
    When I run `rbee-keeper infer <flags> --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the hive started workers on <device>

    Examples:
      | flags                     | device |
      | --backend cuda --device 0 | cuda 0 |
      | --backend cpu             | cpu 0  |

  Scenario: A card that is not there
    Given a llama.cpp that can use them
    When I run `rbee-keeper infer --backend cuda --device 2 --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And standard error says "has no device 2"
    And standard error says "Available here: cuda 0…1, cpu 0…0"
    And the hive started no worker

  Scenario: detect says that both are usable
    Given a llama.cpp that can use them
    When I run `rbee-hive detect`
    Then it exits with 0
    And each card has a row with its memory and is usable: yes, yes
    And standard output says "llama.cpp computes on: cuda, cpu"
    And standard output says nothing of "pip install"

  Scenario: detect says that llama.cpp sees one of two
    Given a llama.cpp that can use the first
    When I run `rbee-hive detect`
    Then it exits with 0
    And each card has a row with its memory and is usable: yes, no
    And standard error says "llama.cpp sees 1 of the 2 cuda devices"
