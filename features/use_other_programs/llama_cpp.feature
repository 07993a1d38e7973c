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
    And <one>, which expects a token at the beginning, gets it where special ones are asked for
    When the chat template is applied to "Hi <|im_end|>", with the system's "Be kind."
    Then the prompt is what the template writes, up to where the answer begins
    When "Once upon a time" is completed until one of these comes: zzz | dragon | was
    Then both say that "was" has ended it, and do not show it
    When "Once upon a time" is completed in llama.cpp's way with 6 tokens, whole and streamed
    Then the text is the one that llama.cpp itself writes, and the stream says the same
    And both say how they ended, with settings and timings
    When its properties and its slots are asked for
    Then they are those of the worker that has answered
    And an answer with a line end in it is told as that
    And a prompt of texts and ids is read whole
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
      | POST /completion     | {"prompt": "x", "n_probs": 2}                               | 400    | invalid_request_error     | n_probs     |
      | POST /completion     | {"prompt": "x", "image_data": [{"data": "aGk=", "id": 1}]}  | 400    | invalid_request_error     | image_data  |
      | POST /completion     | {"prompt": {"prompt_string": "x", "multimodal_data": ["aGk="]}} | 400 | invalid_request_error    | prompt.multimodal_data |
      | POST /completion     | {"prompt": "<a text of 9000 words>"}                        | 400    | exceed_context_size_error | prompt      |
      | POST /completion     | {"prompt": "x", "json_schema": {"not": {}}}                 | 400    | invalid_request_error     | json_schema |
      | POST /infill         | {"input_prefix": "x"}                                       | 400    | invalid_request_error     | path        |
      | GET /props?model=x   |                                                             | 404    | not_found_error           |             |
    And with a wrong key each route of llama.cpp answers 401 in that shape

  Scenario: Each field of a completion arrives at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a completion is asked for in llama.cpp's way with these fields
      | field             | value                       |
      | prompt            | "Hi"                        |
      | max_tokens        | 3                           |
      | temperature       | 1.25                        |
      | top_p             | 0.5                         |
      | top_k             | -1                          |
      | min_p             | 0.125                       |
      | repeat_penalty    | 1.5                         |
      | presence_penalty  | 0.25                        |
      | frequency_penalty | -0.5                        |
      | seed              | 0                           |
      | stop              | ["##", "", "ü"]             |
      | logit_bias        | [[7, false], ["260", 1.5]]  |
      | grammar           | "root ::= [a-z]+"           |
      | cache_prompt      | false                       |
      | keep_alive        | "10m"                       |
      | samplers          | ["top_k"]                   |
    Then the worker was asked with these fields, and no others
      | field             | value                       |
      | prompt            | "Hi"                        |
      | max_tokens        | 3                           |
      | temperature       | 1.25                        |
      | top_p             | 0.5                         |
      | top_k             | 0                           |
      | min_p             | 0.125                       |
      | repeat_penalty    | 1.5                         |
      | presence_penalty  | 0.25                        |
      | frequency_penalty | -0.5                        |
      | seed              | 0                           |
      | stop              | ["##", "ü"]                 |
      | logit_bias        | {"7": -100, "260": 1.5}     |
      | grammar           | "root ::= [a-z]+"           |
      | cache_prompt      | false                       |
      | keep_alive        | "10m"                       |
    When a completion is asked for in llama.cpp's way with these fields
      | field       | value               |
      | prompt      | [9000, 7, 260]      |
      | n_predict   | -1                  |
      | temperature | -1                  |
      | top_p       | 0                   |
      | seed        | -1                  |
      | json_schema | {"type": "boolean"} |
    Then the worker was asked with these fields, and no others
      | field           | value          |
      | prompt          | [9000, 7, 260] |
      | max_tokens      | 1536           |
      | temperature     | 0              |
      | top_k           | 1              |
      | response_format | {"type": "json_schema", "json_schema": {"schema": {"type": "boolean"}, "name": null, "description": null, "strict": null}} |
