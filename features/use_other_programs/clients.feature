@beyond @openai
Feature: Programs that people have already, set up as the page about them shows
  What stands on the page docs/how-to/clients.md is what the program is given here.

  Scenario: llm asks, continues, keeps to a schema, and is refused with a wrong key
    Given a persistent queen
    And llm is set up as docs/how-to/clients.md shows
    When I run `llm -m rbee -o temperature 0 -o max_tokens 8 "Name a color"`
    Then it exits with 0
    When I run `llm -m rbee -o temperature 0 -o max_tokens 8 --no-stream "Name a color"`
    Then it exits with 0
    And it prints the same as the command before, which is not nothing
    When I run `llm -c -o max_tokens 4 "And another"`
    Then it exits with 0
    And llm's own log has the last two as one conversation, whose prompts were counted
    When I run `llm -m rbee --schema "name, age int" -o max_tokens 60 -o temperature 0 "A dog"`
    Then it exits with 0
    And it prints an object with a name, which is text, and an age, which is an integer
    When I run `llm openai endpoint http://<queen address>:8080/v1 --key rbee --models`
    Then it exits with 0
    And standard output says "smollm2"
    When I run `llm -m rbee --key another "Name a color"`
    Then it exits with 1
    And standard error says "API key"
