@beyond @anthropic
Feature: Programs that were written for Anthropic work unchanged
  The queen speaks their protocol on its own port. Anthropic's own package is the judge.

  Scenario: Messages of a model that must be loaded first, whole and streamed
    Given a persistent queen
    When Anthropic's package asks for messages with each of these fields, whole and streamed
      | fields                                                                                                        |
      | {"model": "smollm2", "max_tokens": 8, "temperature": 0}                                                       |
      | {"model": "SmolLM2:latest", "max_tokens": 40, "temperature": 0, "stop_sequences": ["zzz", ".", "!"]}          |
      | {"model": "", "max_tokens": 6, "temperature": 0, "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"}, {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]} |
      | {"model": "smollm2", "max_tokens": 0}                                                                         |
    Then every reply and every event is of the package's types, and the events are in order
    And each stream of events says what its reply says
    And they stopped for these reasons: max_tokens, stop_sequence, max_tokens, max_tokens
    And the second tells which of its stop sequences came, and does not show it
    And the package counts as many tokens of each prompt as its usage has
    And the package's reader of streams, and the asynchronous client, get the first message too
    And an answer that the assistant has begun goes on as the first message does

  Scenario: Calls of tools, their results, reasoning, and answers in a form
    Given a persistent queen
    When Anthropic's package asks for calls of one of two functions, whole and streamed
    Then every reply and every event is of the package's types, and the events are in order
    And each message is calls of those functions, whose input is valid after their schemas
    And a conversation goes on with the results of such calls, as text, as blocks, and as an error
    When the package's runner of tools asks <that calls>, whole and streamed
    Then each time it has run its function for "Rome", and the model ends with "It rains in Rome."
    When Anthropic's package parses an answer into a class of pydantic, in turn and asynchronously
    Then both are of that class, and valid
    When <that thinks> is asked with and without thinking, and with its display omitted
    Then the first reasons "Hm.", the second not at all, and the third unseen, and each says "Yes."
    And a conversation goes on with the blocks of each
    When a call of is_day is cut after 24 tokens
    Then what came of its arguments is told as text
    When <that reasons> is asked, which can't do otherwise, and nobody asks for its thinking
    Then it has thought, and none of that is shown

  Scenario: What is refused is refused in Anthropic's shape
    Given a persistent queen, with a worker that has answered once
    Then Anthropic's package is refused each of these
      | fields                                                                                          | error           | type                  | words                       |
      | {"model": "smolm2"}                                                                             | NotFoundError   | not_found_error       | smollm2                     |
      | {"temperature": 6}                                                                              | BadRequestError | invalid_request_error | temperature                 |
      | {"max_tokens": -1}                                                                              | BadRequestError | invalid_request_error | max_tokens                  |
      | {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]} | BadRequestError | invalid_request_error | messages[0].content[0].type |
      | {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}                              | BadRequestError | invalid_request_error | tools[0].type               |
      | {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "x", "input": {}}]}]} | BadRequestError | invalid_request_error | a turn of the user at the end |
      | {"thread": {"type": "create"}}                                                                  | ThreadUnsupportedRequestError | invalid_request_error | send all messages           |
      | {"mcp_servers": [{"type": "url", "name": "x", "url": "http://x"}]}                              | BadRequestError | invalid_request_error | mcp_servers                 |
      | {"compaction": {"type": "auto"}}                                                                | BadRequestError | invalid_request_error | compaction                  |
      | {"output_config": {"format": {"type": "json_schema", "schema": {"not": {}}}}}                   | BadRequestError | invalid_request_error | output_config.format.schema |
      | {"messages": [{"role": "user", "content": "<a text of 9000 words>"}]}                           | BadRequestError | invalid_request_error | prompt is too long: 90      |
    And with a wrong key, as Bearer and as X-Api-Key, every route of Anthropic's answers 401 in that shape
    And bodies that are not JSON or too long, and unknown routes, are refused in Anthropic's shape
    And Anthropic's package lists the models page by page, and finds smollm2 by name

  Scenario: Clients of Anthropic's that close, and that wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When Anthropic's package streams a long answer, and closes it in the middle
    Then the slot is free within 1 s
    When a task for 6000 tokens streams
    Then the package still counts tokens at once
    When a message streams while the slot is busy
    Then after 2 s the message has its status 200, within 8 s, and a comment, but no event
    And Anthropic's package is refused one more with 503, Retry-After and overloaded_error
    When that task is deleted
    Then the message is answered, and ends with message_stop

  Scenario: Each field of a message arrives at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When Anthropic's package asks for a message with these fields
      | field          | value                                |
      | messages       | [{"role": "user", "content": "Hi"}]  |
      | max_tokens     | 3                                    |
      | temperature    | 1.25                                 |
      | top_p          | 0.5                                  |
      | top_k          | 7                                    |
      | stop_sequences | ["##"]                               |
      | keep_alive     | "10m"                                |
      | metadata       | {"user_id": "somebody"}              |
      | service_tier   | "auto"                               |
      | output_config  | {"effort": "xhigh"}                  |
      | thinking       | {"type": "adaptive"}                 |
      | tools          | [{"type": "web_search_20250305", "name": "web_search"}, {"name": "is_day", "input_schema": {"type": "object", "properties": {}}}] |
      | tool_choice    | {"type": "any"}                      |
    Then the worker was asked with these fields, and no others
      | field                | value                               |
      | messages             | [{"role": "user", "content": "Hi"}] |
      | max_tokens           | 3                                   |
      | temperature          | 1.25                                |
      | top_p                | 0.5                                 |
      | top_k                | 7                                   |
      | stop                 | ["##"]                              |
      | keep_alive           | "10m"                               |
      | think                | true                                |
      | chat_template_kwargs | {"reasoning_effort": "high"}        |
      | tools                | [{"function": {"name": "is_day", "description": null, "parameters": {"type": "object", "properties": {}}, "strict": null}, "type": "function"}] |
      | tool_choice          | "required"                          |
      | parallel_tool_calls  | false                               |
    When Anthropic's package asks for a message with these fields
      | field         | value |
      | system        | [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1;\nBe kind"}, {"type": "text", "text": "Be brief"}] |
      | top_p         | 0 |
      | messages      | [{"role": "user", "content": "Zero"}, {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}, {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "D"}}, {"type": "search_result", "title": "S", "source": "s.org", "content": [{"type": "text", "text": "found"}]}]}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I look."}, {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}, {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}, {"type": "tool_use", "id": "c1", "name": "is_day", "input": {"here": true}}, {"type": "tool_use", "id": "c2", "name": "is_day", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "yes"}]}, {"type": "tool_result", "tool_use_id": "c2", "content": "where?", "is_error": true}, {"type": "text", "text": "Well?"}]}, {"role": "system", "content": "Hurry."}] |
      | max_tokens    | 2     |
      | tools         | [{"name": "is_day", "description": "Whether it is day", "strict": true, "input_schema": {"type": "object"}}] |
      | tool_choice   | {"type": "auto", "disable_parallel_tool_use": true} |
      | output_config | {"format": {"type": "json_schema", "schema": {"type": "integer"}}} |
    Then the worker was asked with these fields, and no others
      | field               | value |
      | messages            | [{"role": "system", "content": "Be kind\n\nBe brief"}, {"role": "user", "content": "Zero\n\nOne\ntwo\nT\nD\nS\ns.org\nfound"}, {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": [{"function": {"name": "is_day", "arguments": "{\"here\":true}"}, "id": "c1", "type": "function"}, {"function": {"name": "is_day", "arguments": "{}"}, "id": "c2", "type": "function"}]}, {"role": "tool", "content": "yes", "tool_call_id": "c1"}, {"role": "tool", "content": "Error: where?", "tool_call_id": "c2"}, {"role": "user", "content": "Well?\n\n<system-reminder>\nHurry.\n</system-reminder>"}] |
      | max_tokens          | 2     |
      | top_k               | 1     |
      | tools               | [{"function": {"name": "is_day", "description": "Whether it is day", "parameters": {"type": "object"}, "strict": true}, "type": "function"}] |
      | parallel_tool_calls | false |
      | think               | false |
      | response_format     | {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}, "name": null, "description": null, "strict": null}} |
    When Anthropic's package asks for a message with these fields
      | field         | value |
      | messages      | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "tool_reference", "tool_name": "is_day"}]}]}] |
      | max_tokens    | 2     |
      | tools         | [{"name": "find", "input_schema": {}}, {"name": "is_day", "input_schema": {}, "defer_loading": true}, {"name": "rest", "input_schema": {}, "defer_loading": true}] |
      | output_format | {"type": "json_schema", "schema": {"type": "integer"}} |
    Then the worker was asked with these fields, and no others
      | field           | value |
      | messages        | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "find", "arguments": "{}"}, "id": "c1", "type": "function"}]}, {"role": "tool", "content": "The tool is_day can be called now.", "tool_call_id": "c1"}] |
      | max_tokens      | 2     |
      | tools           | [{"function": {"name": "find", "description": null, "parameters": {}, "strict": null}, "type": "function"}, {"function": {"name": "is_day", "description": null, "parameters": {}, "strict": null}, "type": "function"}] |
      | think           | false |
      | response_format | {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}, "name": null, "description": null, "strict": null}} |
