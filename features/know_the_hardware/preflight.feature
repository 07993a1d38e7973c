Feature: Before a worker starts, the node checks whether the model can run there
  First the memory of the chosen device, then the backend. Sizes are in proportion to what the
  machine has; a graphics card exists as far as nvidia-smi reports one.

  @t001-23 @B11.1
  Scenario: A model that needs three quarters of what is free passes
    Given the setting worker.context is 512
    And a model called big that needs 75 % of the free memory
    When I start `rbee-keeper infer --model big --backend cpu --prompt hi`
    And "worker preflight: memory is enough" is shown, and right after it "worker preflight: the backend cpu is there"
    And the keeper gets SIGINT
    Then it exits with 130
    And the preflight reports as much needed, and about what is free
    And nothing is running after 10 s

  @t001-23
  Scenario: A model of 5000 MB needs 6000 of the card's 8000
    Given the setting worker.context is 512
    And a graphics card with 7630 MiB free
    And a model called big of 5000 MB
    When I run `rbee-keeper infer --model big --backend cuda --prompt hi`
    Then it exits with 1
    And the preflight reports 6000 MB needed and 8000 MB free on cuda:0
    And "worker preflight: memory is enough" is shown, and right after it "BACKEND_UNAVAILABLE"

  @t001-24
  Scenario: A model that needs half as much again as is free is refused
    Given the setting worker.context is 512
    And a model called big that needs 150 % of the free memory
    When I run `rbee-keeper infer --model big --backend cpu --prompt hi`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And the error names as much, about what is free, and cpu
    And standard error says "smaller quantization"
    And it is a clear message with a next step

  @t001-24
  Scenario: A model of 5000 MB does not fit into 4000 MB of a card
    Given the setting worker.context is 512
    And a graphics card with 3815 MiB free
    And a model called big of 5000 MB
    When I run `rbee-keeper infer --model big --backend cuda --prompt hi`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And the error names 6000 MB needed and 4000 MB free on cuda:0
    And standard error says "smaller quantization"
    And it is a clear message with a next step

  @t001-25 @B11.1
  Scenario Outline: A backend that is there passes
    When I run `rbee-keeper infer --backend <backend> --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And "worker preflight: the backend <backend> is there" is shown, and right after it "worker startup"

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |

  @t001-26
  Scenario: A backend that is not there is named, with those that are
    When I run `rbee-keeper infer --backend metal --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And standard error says "'metal'"
    And standard error says "Available here: cpu"
    And it is a clear message with a next step
    And the next step says "Use --backend cpu"

  @beyond
  Scenario: A device that is not there is named, with those that are
    When I run `rbee-keeper infer --backend cpu --device 1 --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And standard error says "has no device 1"
    And standard error says "Available here: cpu 0"

  @beyond
  Scenario Outline: The requested card counts, else the one with the most free memory: <asked>
    Given the setting worker.context is 512
    And graphics cards with 1908, 3815 and 2862 MiB free
    And a model called big of 5000 MB
    When I run `rbee-keeper infer --model big --backend cuda <asked> --prompt hi`
    Then it exits with 1
    And the error names 6000 MB needed and <free> MB free on <device>

    Examples:
      | asked      | free | device |
      | --device 0 | 2000 | cuda:0 |
      | --device 2 | 3001 | cuda:2 |
      | --raw      | 4000 | cuda:1 |

  @beyond
  Scenario: A card that llama.cpp was not built for: the command that fixes it
    Given a graphics card with 7630 MiB free
    When I run `rbee-keeper infer --backend cuda --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And the next step is to rebuild llama.cpp with -DGGML_CUDA=on

  @beyond
  Scenario: Without a card there is no such command
    When I run `rbee-keeper infer --backend cuda --prompt hi`
    Then it exits with 1
    And the error is BACKEND_UNAVAILABLE
    And standard error says "Available here: cpu."
    And standard output says nothing of "pip install"

  @beyond
  Scenario: Forced, the memory check is reported and overridden
    Given the setting worker.context is 512
    And a graphics card with 3815 MiB free
    And a model called big of 5000 MB
    When I run `rbee-keeper infer --force --model big --backend cuda --prompt hi`
    Then it exits with 1
    And the preflight reports 6000 MB needed and 4000 MB free on cuda:0
    And standard error says "memory is not enough"
    And "loading anyway (--force)" is shown, and right after it "BACKEND_UNAVAILABLE"

  @beyond
  Scenario: Forced at a hive
    Given the setting worker.context is 512
    And a model called big that needs 150 % of the free memory
    And a hive that an operator started
    When the hive is sent POST /v1/workers/spawn {"model":"big","backend":"metal"}
    Then the answer is 507 with the error VRAM_EXHAUSTED
    And its details are exactly node, device, required, available
    And they name this machine, cpu, as much, and about what is free
    When the hive is sent POST /v1/workers/spawn {"model":"big","backend":"metal","force":true}
    Then the answer is 409 with the error BACKEND_UNAVAILABLE
    And its details are exactly backend, available
    And they name metal, and that only cpu is there

  @beyond
  Scenario: Forced, a model that is not here yet is fetched all the same
    Given the setting worker.context is 512
    And graphics cards with 3815 and 10 MiB free
    And the Hub has lab/small with small-Q8_0.gguf, the small model
    And a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","model":"hf:lab/small","backend":"cuda","device":1}
    Then the answer is the error VRAM_EXHAUSTED
    And its details are those of cuda:1, with 10 MB free
    And nothing but headers of files was sent
    And the models folder holds no model
    When a task is sent {"prompt":"hi","model":"hf:lab/small","backend":"cuda","device":1,"force":true}
    Then the answer is the error BACKEND_UNAVAILABLE
    And the file lab/small/small-Q8_0.gguf is the one on the Hub

  @beyond
  Scenario: A smaller quantization that is here already is named
    Given the setting worker.context is 512
    And a graphics card with 3815 MiB free
    And lab/giant/giant-Q8_0.gguf in the models folder is a model of 5000 MB
    # It would need 4560 of the card's 4000.
    And lab/giant/giant-Q6_K.gguf in the models folder is a model of 3800 MB
    And lab/other/other-Q4_K_M.gguf in the models folder is a model of 3000 MB
    And a person placed the bundled model at lab/giant/giant-Q3_K_M.gguf in the models folder
    And a person placed the small Q2_K model at lab/giant/giant-Q2_K.gguf in the models folder
    When I run `rbee-keeper infer --model hf:lab/giant:Q8_0 --backend cuda --prompt hi`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And standard error says "hf:lab/giant/giant-Q3_K_M.gguf would fit"
    And the next step says "--model hf:lab/giant/giant-Q3_K_M.gguf"
