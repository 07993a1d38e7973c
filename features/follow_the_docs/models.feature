@beyond
Feature: What the documentation shows is what happens

  @B10.3
  Scenario: The page about models
    Given the Hub has bartowski/SmolLM2-135M-Instruct-GGUF with these files
      | file                               | content |
      | SmolLM2-135M-Instruct-Q4_K_M.gguf  | Q4_K_M  |
      | SmolLM2-135M-Instruct-Q5_K_M.gguf  | Q5_K_M  |
      | SmolLM2-135M-Instruct-Q8_0.gguf    | Q8_0    |
    And bartowski/SmolLM2-135M-Instruct-GGUF was downloaded 2043 times in the last month
    When each command of the page docs/how-to/models.md is typed
    Then each of the 10 shows what the page says, apart from figures
