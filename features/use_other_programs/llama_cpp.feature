@beyond @llama_cpp
Feature: Programs that were written for llama.cpp's server find its own routes
  Beside OpenAI's protocol that server tells of tokens, templates and slots. llama.cpp itself, called
  directly, is the second opinion.

  Scenario: What llama.cpp's server tells, before and after its model is loaded
    Given a persistent queen
    When its properties and its slots are asked for
    Then they are those of a model that sleeps, and no worker was started
    When these texts are tokenized: Once upon a time | a <|im_start|> b 🙂 | ñ
    Then the tokens are those of llama.cpp, and their text is the same again
    And with their pieces, and with control tokens as text, they spell the same text
    And special tokens and ids among the texts stay where they are
    When the chat template is applied to "Hi <|im_end|>", with the system's "Be kind."
    Then the prompt is what the template writes, up to where the answer begins
    When "Once upon a time" is completed until one of these comes: zzz | dragon | was
    Then both say that "was" has ended it, and do not show it
    When "Once upon a time" is completed in llama.cpp's way with 6 tokens, whole and streamed
    Then the text is the one that llama.cpp itself writes, and the stream says the same
    And both say how they ended, with settings and timings
    When its properties and its slots are asked for
    Then they are those of the worker that has answered
    And a token that is forbidden by false does not come
    When a task for 2000 tokens streams
    Then 1 of its slots is busy, and the others are not

  Scenario: What is refused is refused in llama.cpp's shape
    Given a persistent queen, with a worker that has answered once
    Then each of these is refused in llama.cpp's shape
      | route                | body                                                        | status | type                      | field       |
      | POST /tokenize       | {}                                                          | 400    | invalid_request_error     | content     |
      | POST /tokenize       | {"content": "x", "model": "smolm2"}                         | 404    | not_found_error           |             |
      | POST /detokenize     | {"tokens": [49152]}                                         | 400    | invalid_request_error     | tokens      |
      | POST /apply-template | {"messages": []}                                            | 400    | invalid_request_error     | messages    |
      | POST /completion     | {"prompt": "x", "temperature": 6}                           | 400    | invalid_request_error     | temperature |
      | POST /completion     | {"prompt": ["x", "y"]}                                      | 400    | invalid_request_error     | prompt      |
      | POST /completion     | {"prompt": "x", "n_predict": 0}                             | 400    | invalid_request_error     | n_predict   |
      | POST /completion     | {"prompt": "<a text of 9000 words>"}                        | 400    | exceed_context_size_error | prompt      |
      | POST /completion     | {"prompt": "x", "json_schema": {"not": {}}}                 | 400    | invalid_request_error     | json_schema |
      | POST /infill         | {"input_prefix": "x"}                                       | 400    | invalid_request_error     | path        |
      | GET /props?model=x   |                                                             | 404    | not_found_error           |             |
    And with a wrong key each route of llama.cpp answers 401 in that shape
