Feature: A machine reports what it has, and what of that it can use
  The hardware as its own tools report it, beside llama.cpp's own list of devices; where they
  differ, the command that fixes it.

  @beyond
  Scenario: Two cards, and a llama.cpp that can't use them
    Given graphics cards with 11444 and 22888 MiB free
    When I run `rbee-hive detect`
    Then it exits with 0
    And each card has a row with its memory and is not usable; the CPU is
    And standard output has the command that rebuilds llama.cpp with -DGGML_CUDA=on
    When I run `rbee-hive detect --json`
    Then it exits with 0
    And the JSON has the same cards, CPU as the only backend, and the command with -DGGML_CUDA=on

  @beyond
  Scenario: A card that does not report its memory
    Given a graphics card that does not report its memory
    When I run `rbee-hive detect`
    Then it exits with 0
    And the card has a row with its name, and its memory is unknown
    When I run `rbee-keeper infer --backend cuda --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE

  @beyond
  Scenario: No card
    When I run `rbee-hive detect`
    Then it exits with 0
    And standard output says "cpu"
    And standard output says nothing of "cuda"
    And standard output says nothing of "pip install"

  @beyond
  Scenario: What the worker's llama.cpp can use
    When I run `llm-worker-rbee detect --json`
    Then it exits with 0
    And the JSON is as the worker's own llama.cpp says
    When I run `llm-worker-rbee detect`
    Then it exits with 0
    And it lists the CPU as the only device, with the machine's memory

  @beyond
  Scenario: A worker's program that says nothing of what it can use
    Given a graphics card with 7630 MiB free
    And the setting worker.command is "false"
    When I run `rbee-hive detect --json`
    Then it exits with 0
    And the JSON has the card, CPU as the only backend, and a note that llama.cpp can't be asked
    And standard error says "llama.cpp can't be asked what it can use"

  @beyond
  Scenario: A hive reports each device that it can compute on
    Given graphics cards with 11444 and 22888 MiB free
    And a hive that an operator started
    Then the hive says it has only the CPU to compute on, with the machine's memory and disk

  @beyond
  Scenario Outline: nvidia-smi answers with <mood>
    Given a graphics card with 7630 MiB free
    And nvidia-smi answers with <mood>
    When I run `rbee-hive detect --json`
    Then it exits with 0
    And it took less than 20 s
    And nvidia-smi was asked
    And the JSON has no card, and a note about nvidia-smi
    And standard error says "nvidia-smi"
    And nothing is running

    Examples:
      | mood           |
      | garbage        |
      | failure        |
      | half an answer |
      | silence        |

  @beyond
  Scenario: nvidia-smi answers with far too much
    Given a graphics card with 7630 MiB free
    And nvidia-smi answers with a flood
    When I run `rbee-hive detect --json`
    Then it exits with 0
    And it took less than 20 s
    And nothing is running

  @beyond
  Scenario Outline: A prompt is answered even if nvidia-smi answers with <mood>
    Given a graphics card with 7630 MiB free
    And nvidia-smi answers with <mood>
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When I run `rbee-keeper infer --backend cuda --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And nvidia-smi was asked
    And nothing is running

    Examples:
      | mood    |
      | garbage |
      | failure |
      | silence |

  @beyond
  Scenario: A request for the CPU does not wait for the cards
    Given a graphics card with 7630 MiB free
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And nvidia-smi was not asked
    And standard error says "rbee-hive detect"
