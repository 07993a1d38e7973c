@beyond
Feature: An answer in a given form
  A JSON schema or a grammar says what an answer must be. Every answer is, whatever the model would
  rather say; and what a stranger asks for can't keep a worker busy or end it.

  Scenario: Every document is valid, however hot
    Given a standalone worker with `--slots 4`
    When 24 answers are asked for at temperature 1.5, four at a time, with these schemas in turn
      | schema                                                                                                                                                                                                                         |
      | {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 130}}, "required": ["name", "age"], "additionalProperties": false}                           |
      | {"type": "array", "items": {"enum": ["rot", "grün", 3, null]}, "minItems": 2, "maxItems": 4}                                                                                                                                   |
      | {"anyOf": [{"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,4}$"}, {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}, "required": ["day"], "additionalProperties": false}]}                         |
      | {"$defs": {"leaf": {"type": "array", "items": {"type": "number", "minimum": -1, "maximum": 1}, "maxItems": 2}}, "type": "object", "properties": {"left": {"$ref": "#/$defs/leaf"}, "ü": {"$ref": "#/$defs/leaf"}}, "required": ["ü"], "additionalProperties": false} |
    Then each answer is a valid document of its schema, and ends with EOS
    And asked again alone, twice with the same seed, it gives the same document

  Scenario: Any object, and texts of a grammar
    Given a standalone worker with `--slots 2`
    When the worker is asked with these forms, at temperature 1
      | field           | value                               | matches                |
      | response_format | {"type": "json_object"}             | \{.*                   |
      | response_format | {"type": "text"}                    | .*                     |
      | grammar         | root ::= "yes" \| "no"              | yes\|no                |
      | grammar         | root ::= [a-f]{3} ("-" [0-9]{2}){2} | [a-f]{3}(-[0-9]{2}){2} |
      | grammar         | root ::= "(" root ")" \| "x"        | \(+\|\(*x\)*           |
      | grammar         | root ::= [^a-zA-Z] [^0-9]           | [^a-zA-Z][^0-9]        |
    Then each answer, or what there is of it, matches that pattern
    When an answer under a schema is stopped by 3 tokens, and one by a stop sequence
    Then they end with MAX_TOKENS and STOP_SEQUENCE

  Scenario: A form that can't be had
    Given a standalone worker with `--slots 2`
    When the worker is asked with each of these forms
      | form            | field                              | reason                                      |
      | an unknown type | response_format.json_schema.schema | Invalid type: strin                         |
      | unique items    | response_format.json_schema.schema | uniqueItems                                 |
      | a look-ahead    | response_format.json_schema.schema | look-around                                 |
      | itself alone    | response_format.json_schema.schema | no text of this model's tokens has this form |
      | a remote schema | response_format.json_schema.schema | does not fetch                              |
      | a hard product  | response_format.json_schema.schema | too much time or memory                     |
      | 15000 in a row  | response_format.json_schema.schema | too much time or memory                     |
      | no root         | grammar                            | it has no rule named root                   |
      | a typing error  | grammar                            | line 2: expected                            |
      | many repeats    | grammar                            | at most 2000 repetitions                    |
      | deep nesting    | grammar                            | parentheses inside each other               |
      | both            | grammar                            | at most one of grammar and response_format  |
      | on and on       | ignore_eos                         | false                                       |
    Then each is refused with INVALID_REQUEST, which names the field and the reason
    And the worker is the same process, and answers

  Scenario: From the command line
    Given a persistent queen
    And the file person.json has the text "{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 3, "maximum": 5}}, "required": ["name", "age"], "additionalProperties": false}"
    And the file yes-or-no.gbnf has the text "root ::= "yes" | "no""
    And a proxy between keeper and queen
    When I run `rbee-keeper infer --prompt "Who are you?" --schema person.json --temperature 1.5`
    Then it exits with 0
    And standard output is a valid document of person.json
    When I run in a shell `rbee-keeper infer --prompt "Is it?" --grammar - < yes-or-no.gbnf`
    Then it exits with 0
    And it has answered "yes" or "no"
    And the queen was asked with the schema of person.json, and then with the grammar of yes-or-no.gbnf
    When I run in a shell `echo '{"type": "strin"}' | rbee-keeper infer --prompt Hi --schema -`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "Invalid type: strin"

  Scenario Outline: Not a form: <what>
    When I run in a shell `<command>`
    Then it exits with 2
    And standard error says "<words>"
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | what            | command                                                               | words                            |
      | no such file    | rbee-keeper infer --prompt Hi --schema nowhere.json                   | nowhere.json can't be read       |
      | not JSON        | echo '{' > x; rbee-keeper infer --prompt Hi --schema x                | x is not JSON                    |
      | not an object   | echo '[]' > x; rbee-keeper infer --prompt Hi --schema x               | x is not a JSON schema           |
      | both            | echo '{}' > x; rbee-keeper infer --prompt Hi --schema x --grammar x   | --schema can't be combined with  |
      | one input twice | echo '{}' \| rbee-keeper infer --prompt - --schema -                  | Standard input can be only one   |
      | an empty file   | rbee-keeper infer --prompt Hi --grammar /dev/null                     | /dev/null is empty               |
