Feature: On the machine itself, rbee-hive shows its hive and its models

  @beyond
  Scenario: No hive runs
    When I run `rbee-hive status`
    Then it exits with 1
    And standard output says "No rbee-hive runs here"
    When I run `rbee-hive status --json`
    Then it exits with 1
    And standard output says "stopped"

  @beyond
  Scenario Outline: It listens at HOST:PORT, and not at <address>
    When I run `rbee-hive daemon --addr <address>`
    Then it exits with 2
    And standard error says "write it as HOST:PORT"

    Examples:
      | address        |
      | 127.0.0.1      |
      | 127.0.0.1:http |

  @beyond
  Scenario: A hive runs
    Given a queen and a hive that an operator started
    And a worker for bundled:smollm2-135m-instruct is ready
    When I run `rbee-hive status`
    Then it exits with 0
    And standard output names the hive's url, its version and its worker
    When I run `rbee-hive status --json`
    Then it exits with 0
    And the JSON says running, with that url, that version and that worker

  @beyond
  Scenario: A pid that belongs to another program by now
    Given a hive that an operator started
    When the hive is killed, and another process has got its pid
    And I run `rbee-hive status`
    Then it exits with 1
    And standard output says "No rbee-hive runs here"

  @beyond
  Scenario: A hive that does not answer
    Given a hive that an operator started
    And the hive hangs
    When I run `rbee-hive status`
    Then it exits with 1
    And standard output says "unreachable"
    When the hive goes on

  @beyond
  Scenario: The models, with a hive and without one
    Given the setting models.dir is "<home>/my models"
    And the setting paths.catalog_db is "<home>/my catalog.db"
    And the Hub has lab/small with small.gguf, the small model
    When I run `rbee-hive models list`
    Then it exits with 0
    And standard error says "models download"
    When I run `rbee-hive models download hf:lab/small`
    Then it exits with 0
    And standard output says "lab/small/small.gguf"
    And the file lab/small/small.gguf is the one on the Hub
    When I run `rbee-hive models list --json`
    Then 1 model is in the JSON, hf:lab/small/small.gguf, ready
    When a hive is started
    And I run `rbee-hive models list --json`
    Then it printed the same as the previous run
    When I run `rbee-hive models verify hf:lab/small`
    Then it exits with 0
    And standard output says "is whole"
    When I run `rbee-hive models info hf:lab/small`
    Then it exits with 0
    And standard output says "architecture: llama"
    When I run `rbee-hive models disk-usage`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf"
    When I run `rbee-hive models delete hf:lab/small`
    Then it exits with 0
    And the models folder holds no model
    When I run `rbee-hive models download hf:lab/small`
    Then it exits with 0
    And the hive itself fetched hf:lab/small/small.gguf

  @beyond
  Scenario: A model that a worker holds is not deleted
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a queen and a hive that an operator started
    And a worker for hf:lab/smol/smol-Q4_1.gguf is ready
    When I run `rbee-hive models delete hf:lab/smol`
    Then it exits with 1
    And the error is MODEL_IN_USE
    And the file lab/smol/smol-Q4_1.gguf is still there

  @beyond
  Scenario: A hive with another machine's key
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a hive that belongs to another machine's queen
    When I run `rbee-hive status`
    Then it exits with 0
    And standard output says "another machine's queen"
    When I run `rbee-hive models list --json`
    Then 1 model is in the JSON, hf:lab/smol/smol-Q4_1.gguf, ready
    When I run `rbee-hive models verify hf:lab/smol`
    Then it exits with 0
    And standard output says "had no known hash to compare with"
    When I run `rbee-hive models delete hf:lab/smol`
    Then it exits with 1
    And the error is INVALID_API_KEY
    And the file lab/smol/smol-Q4_1.gguf is still there

  @beyond
  Scenario: The token that a hive is given, in place of the machine's own
    Given the setting log.level is "debug"
    And the Hub has lab/small with small.gguf, the small model
    And lab/small requires the token hf_opensesame
    And the Hub redirects files to another host
    And the token hf_ofthismachine is where huggingface_hub looks for it
    And a hive that gets the token hf_opensesame on its lifeline
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the token hf_opensesame was sent to the Hub, and never to the other host
    And the token hf_opensesame is in no command line, environment, output or log
