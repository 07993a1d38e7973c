@beyond
Feature: A client that asks a hive for a worker need not care where the model is

  Background:
    Given the Hub has lab/small with small.gguf, the small model
    And a hive that an operator started

  @B4.1 @B5.1 @B5.3 @B5.4 @B6.1 @B6.2 @B6.4
  Scenario: The model is still on the Hub
    Then there is no catalog yet
    When the hive is asked to spawn a worker for hf:lab/small/small.gguf on cpu 0
    Then the hive answers with a worker's id, its url and the state "loading"
    And the file lab/small/small.gguf is the one on the Hub
    And SQLite finds one row by provider hf and reference hf:lab/small/small.gguf, with the contract's columns
    And the only worker is idle, with the model hf:lab/small/small.gguf, on cpu 0
    And the hive's list has hf:lab/small/small.gguf as ready
    And the process that answered is the hive that was started

  @B6.1 @B6.3
  Scenario: The model is in the catalog
    Given hf:lab/small/small.gguf has been fetched before
    When the hive is asked to spawn a worker for hf:lab/small/small.gguf on cpu 0
    Then the only worker is idle, with the model hf:lab/small/small.gguf, on cpu 0
    And the Hub was asked for nothing more
