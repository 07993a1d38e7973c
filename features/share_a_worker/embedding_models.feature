@beyond
Feature: Models that are made for vectors and for scores
  They read a text as a whole. What llama.cpp makes of it when it is called directly is the second
  opinion.

  # Its file does not say so, and its architecture has a cache into which it never looks.
  Scenario: A model that must see the whole text
    Given a standalone worker for <llama-embed> with `--slots 2`
    When texts of 3, 1500 and 700 letters are embedded
    Then each vector is the one that llama.cpp makes of the whole text
    When it is asked for an answer
    Then it is refused with 400 and INVALID_REQUEST, and "/v1/embeddings" is named

  Scenario Outline: A model that reads in steps, and whose <which> token stands for the text
    Given a standalone worker for <<model>> with `--slots 2`
    When texts of 3, 1500 and 700 letters are embedded
    Then each vector is the one that llama.cpp makes of the whole text

    Examples:
      | which | model           |
      | last  | qwen3 with last |
      | first | llama with cls  |

  Scenario: The documents that answer best come first
    Given a standalone worker for <qwen3 ranker> with `--slots 2`
    When it ranks these documents for the query "what"
      | document |
      | hello    |
      | xyz      |
      | a b c    |
      | why not  |
      | a</s>b   |
    Then each has the score that llama.cpp makes of the query with it, and the best comes first
    When it ranks them again with a top_n of 2
    Then it returns the first 2 of them
    When it is asked for a vector
    Then it is refused with 400 and INVALID_REQUEST, and "/v1/rerank" is named

  Scenario: A model without scores, and one whose numbers are not finite
    Given a standalone worker for <damaged bert> with `--slots 2`
    When it ranks these documents for the query "what"
      | document |
      | hello    |
    Then it is refused with 400 and INVALID_REQUEST, and "rank head" is named
    When a text is embedded that it makes NaN of
    Then it is refused with 500 and COMPUTE_FAILED, and "not numbers" is named
    When one is embedded that it makes numbers of
    And a text is embedded that it makes NaN of
    Then it says of its health that it is healthy
    When a text is embedded that it makes NaN of
    Then it says of its health that it is unhealthy
