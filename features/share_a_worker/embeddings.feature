@beyond
Feature: Texts become vectors
  In the format of OpenAI's /v1/embeddings, so that existing clients can use it.

  Background:
    Given a standalone worker with `--slots 2`

  Scenario: Vectors of several texts
    When these texts are embedded
      | text                                         |
      | The cat sleeps on the warm sofa.             |
      | A kitten is napping on the couch.            |
      | The central bank raised its interest rates.  |
      | The cat sleeps on the warm sofa.             |
    Then there is a vector of 576 numbers for each, in order, each of length 1
    And the first and the last are the same
    And the second is nearer to the first than the third is
    And the usage counts the tokens of all four
    And the reply names the model
    And the worker was busy meanwhile, with one of its 2 slots

  Scenario: One text alone, and none
    When the text "The cat sleeps on the warm sofa." is embedded, alone and in a list
    Then both times there is one vector, and it is the same
    # Nothing to embed, no text, or a token that the vocabulary of 49152 has not.
    When each of these is embedded
      | input     |
      | []        |
      | ""        |
      | ["a", ""] |
      | 5         |
      | null      |
      | [[]]      |
      | [1, "a"]  |
      | [-1]      |
      | [49152]   |
    Then each is answered with 400 and INVALID_REQUEST, which names the field "input"
    And of 2048 texts the last one is looked at, and 2049 are too many

  Scenario: The forms in which OpenAI's clients ask
    When the text "The cat sleeps on the warm sofa." is embedded with each of these fields
      | fields                                           |
      | {"model": "text-embedding-3-small", "user": "me"} |
      | {"encoding_format": "base64"}                    |
      | {"encoding_format": "float", "dimensions": 576}  |
    And as the ids of its tokens, alone and in a list
    Then each time it is the vector that the model makes of it
    When it is embedded with 64 dimensions
    Then the vector is its first 64 numbers, again with length 1
    When it is embedded with 577 dimensions
    Then it is refused with 400 and INVALID_REQUEST, and "dimensions" is named

  Scenario: A long text is read to its end
    When a text of 560 words is embedded
    Then its vector is the mean of those that the model makes of its tokens

  Scenario: Streams go on in the meantime
    When an answer is under way
    And 10 texts are embedded, one after the other
    Then at least 5 tokens came in between
    And the answer is still that of its prompt
