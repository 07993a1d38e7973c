@beyond
Feature: A chat in the terminal
  One question after the other, with the whole conversation; the model stays loaded throughout.

  Scenario: A conversation
    Given a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --system "Be brief." --temperature 0 --max-tokens 12` on a terminal
    And I ask "Hello, who are you?" there and get an answer
    And I ask "And what can you do?" there and get an answer
    And I ask "Thank you." there and get an answer
    Then the third task held the whole conversation, with the roles system, user, assistant, user, assistant, user
    And the assistant's answers were sent as they stood on the screen
    And each task began with "Be brief.", and had temperature 0 and 12 tokens at most
    And the first task named no node, and those after it the one that had answered
    And the worker had most of it in its KV cache
    When I press Ctrl+D there
    Then it exits there with 0
    And the terminal is as it was before
    And ~/.rbee/history has the lines "Hello, who are you?", "And what can you do?" and "Thank you.", readable only by its owner

  Scenario: Everything is started once for the chat, and ends with it
    When I type `rbee-keeper infer --interactive --prompt "Hello" --temperature 0 --max-tokens 8` on a terminal
    Then the question of the command line is answered there
    And the terminal shows "Ask a question. /help lists the commands, Ctrl+D ends the chat."
    And no figures stand below the answer
    When the pids of queen, hive and worker are noted
    And I ask "And now?" there, until the prompt is back
    Then queen, hive and worker are still the same processes
    When I type "/exit" there
    Then it exits there with 0
    And the last line of the screen is "→ To keep the model warm between commands: rbee-keeper daemon start"
    And ~/.rbee/history has the lines "Hello", "And now?" and "/exit", readable only by its owner
    And nothing is running

  Scenario: Ctrl+C cancels an answer, and only that
    Given a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 4000` on a terminal
    And I ask "write a long story" there
    And an answer is arriving there
    And I press Ctrl+C there
    Then the terminal shows "Canceled.", then the prompt again
    And the worker becomes idle
    When I ask "And then?" there
    And an answer is arriving there
    Then the last task of the queen holds the first question, what came of its answer, and "And then?"
    When I press Ctrl+C there
    And the prompt appears
    And I press Ctrl+D there
    Then it exits there with 0

  Scenario: Ctrl+C at the prompt clears the line, and commands do what they say
    Given a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper infer -i -q --system "Be brief." --max-tokens 4 --temperature 0` on a terminal
    And the prompt appears
    And I type "/retry" there
    Then the terminal shows "No question has been asked yet."
    And the screen says nothing of "Ask a question."
    When I type half a line there and press Ctrl+C
    And I ask "One?" there and get an answer
    And I ask "/retry" there and get an answer
    Then both tasks of the queen are "One?" after "Be brief.", and nothing else
    When I type "/clear" there
    And I ask "/etc/hosts is what?" there and get an answer
    Then the last task of the queen is "/etc/hosts is what?" after "Be brief.", and nothing else
    When I type "/nonsense" there
    Then the terminal shows "Unknown command /nonsense"
    When I type "/help" there
    Then the terminal shows "ask the last question again"
    When the prompt appears
    And I press Ctrl+C there
    Then the terminal shows "/exit"
    When I type "/exit" there
    Then it exits there with 0

  Scenario: Words that ollama's users know
    Given a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper chat --quiet --max-tokens 4` on a terminal
    And the prompt appears
    And I type "/clear now" there
    Then the terminal shows "Unknown command /clear now. See /help."
    When I type "/" there
    Then the terminal shows "Unknown command /. See /help."
    When I type "/set" there
    Then the terminal shows "/set NAME default"
    When I type "/set parameter temperature 9" there
    Then the terminal shows "temperature must be a number from 0 to 5, got 9."
    When I type "/set parameter temperature 0" there
    Then the terminal shows "temperature: 0.0"
    When I type "/set num_ctx 1024" there
    Then the terminal shows "context: 1024"
    When I type "/set parameter num_predict 3" there
    Then the terminal shows "max_tokens: 3"
    When I type "/set warmth 3" there
    Then the terminal shows "warmth can't be set"
    When I type "/set top_k 7" there
    Then the terminal shows "top_k: 7"
    When I type "/set top_k default" there
    Then the terminal shows "top_k: 40"
    When I type "/set format json" there
    And I type "/set nothink" there
    And I type "/set verbose" there
    And I type "/system Be loud." there
    And I type "/system "Be brief."" there
    And I type "/set stop "no, never" ###" there
    And I type "/model bundled:smollm2-135m-instruct" there
    Then the terminal shows "The next question goes to bundled:smollm2-135m-instruct."
    When I ask "One?" there and get an answer
    Then it asked to stop before "no, never" and "###"
    Then the last task of the queen is "One?" after "Be brief.", and nothing else
    And the last task of the queen had temperature 0, context 1024 and model "bundled:smollm2-135m-instruct"
    And it asked for a JSON object, without reasoning
    And figures stand below the answer
    When I type "/save bees" there
    Then the terminal shows "The conversation is kept in"
    When I type "/bye" there
    Then it exits there with 0
    And ~/.rbee/chats/bees.json is readable only by its owner
    When I type `rbee-keeper chat --quiet --node localhost` on a terminal
    And the prompt appears
    And I type "/load wasps" there
    Then the terminal shows "Saved chats: bees."
    When I type "/load bees" there
    Then the terminal shows "The conversation goes on after 1 question."
    When I ask "Two?" there and get an answer
    Then the last task of the queen had temperature 0, context 1024 and model "bundled:smollm2-135m-instruct"
    And the roles of the last task are system, user, assistant, user
    And it went to the node localhost
    And it asked for a JSON object, without reasoning
    And no figures stand below the answer
    When I type "/set verbose" there
    And I type "/set quiet" there
    And I type "/set noformat" there
    And I type "/set think" there
    And I type "/set parameter stop default" there
    And I type "/set system Be wise." there
    And I ask "Three?" there and get an answer
    Then it asked for any text, with reasoning, and to stop before nothing
    And no figures stand below the answer
    When I type "/show parameters" there
    Then the terminal shows "top_k: 40"
    When I type "/?" there
    Then the terminal shows "ask the last question again"
    When I type "/show" there
    Then the terminal shows "system: Be wise."
    And the terminal shows "questions so far: 3"
    And the terminal shows "node: localhost"
    And the terminal shows "model: bundled:smollm2-135m-instruct"
    When I type "/show info" there
    Then the terminal shows "trained context: 8192 tokens"
    When the prompt appears
    And I type "/quit" there
    Then it exits there with 0

  Scenario: What is typed while an answer streams waits for the prompt
    Given a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --ignore-eos --max-tokens 120 --temperature 0` on a terminal
    And I ask "Tell me a story." there
    And an answer is arriving there
    And I type "/set top_k 7" there
    And I type "Zebras?" there
    Then the terminal shows "top_k: 7"
    And the queen was asked "Zebras?" next
    And what was typed was never in the answer
    When an answer is arriving there
    And I press Ctrl+D there
    Then it exits there with 0
    And both answers are whole
    And the screen has no line of narration

  Scenario: A text of several lines
    Given a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --max-tokens 4` on a terminal of 40 columns
    And the prompt appears
    And I type a text of three lines in triple quotes there, and get an answer
    Then the queen was asked "First line\nsecond, longer than forty columns are in all\nthird"
    When I type "Bees" there, Alt+Enter and "hum", and get an answer
    Then the last question of the queen is "Bees\nhum"
    When I press Up there, then Enter, and get an answer
    Then the last question of the queen is "Bees\nhum"
    When I press Ctrl+D there
    Then it exits there with 0

  Scenario: A conversation that outgrows the context goes on without its beginning
    Given the setting worker.context is 256
    And the setting worker.slots is 1
    And a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 60 --temperature 0` on a terminal
    And I ask five questions there and get an answer to each
    Then the terminal told each time how many of the oldest turns were left out
    And the last task of the queen holds only part of the conversation
    When I type "/set max_tokens 400" there
    And I ask "And in June?" there and get an answer
    Then the terminal shows "→ The context is full: the answer stops here."
    When I press Ctrl+D there
    Then it exits there with 0

  Scenario: An error is shown, and the chat goes on
    Given a persistent queen
    And a proxy between keeper and queen
    When I type `rbee-keeper infer --interactive --quiet --ignore-eos --max-tokens 4000` on a terminal
    And I ask "write a long story" there
    And an answer is arriving there
    And the pids of queen, hive and worker are noted
    And the worker is killed
    Then the terminal shows "WORKER_CRASHED", then the prompt again
    When I ask "/retry" there
    And an answer is arriving there
    Then the queen was asked the same question once more
    When I press Ctrl+C there
    And the prompt appears
    And I type "/exit" there
    Then it exits there with 0

  Scenario: It needs a terminal
    When I run `rbee-keeper infer --interactive`
    Then it exits with 2
    And standard error says "needs a terminal"
    And it is a clear message with a next step
    And nothing is running

  Scenario: Ctrl+D while a command of the chat waits for the queen ends the chat
    Given a persistent queen
    When I type `rbee-keeper infer --interactive --quiet --model smollm2` on a terminal
    And the prompt appears
    And the queen hangs
    And I type "/show info" there
    And I press Ctrl+D there, 0.5 s later
    And the queen goes on
    Then the terminal shows "trained context"
    And it exits there with 0
