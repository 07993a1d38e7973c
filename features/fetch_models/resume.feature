Feature: Bytes that have arrived are not fetched again
  Six attempts, from 100 ms doubling, each where the last one stopped, also after the hive was
  killed; and never two halves of different files in one.

  Background:
    Given the Hub has lab/small with small.gguf, the small model

  @t001-17
  Scenario: The connection is reset at 40 %
    Given a transfer resets at 40 % of the file, once
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And standard error says "Connection reset: attempt 2 of 6 in 100 ms"
    And the Hub saw a pause of 100 ms between 2 transfers
    And each transfer began exactly where the one before stopped
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @t001-17
  Scenario: All six attempts fail
    Given a transfer resets at 40 % of the file, each time
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And the Hub saw pauses of 100, 200, 400, 800 and 1600 ms between 6 transfers
    And each transfer began exactly where the one before stopped
    And standard error says "failed after 6 attempts: Connection reset"
    And standard error says "6 of 15 MB downloaded"
    And it is a clear message with a next step
    And standard error says "goes on where it stopped"
    And the partial file is kept
    And the models folder holds no model

  @t001-37 @edge-case @alone
  Scenario: The connection is reset at 40 %, as a person sees it
    Given the Hub sends 10 MB a second
    And a transfer resets at 40 % of the file, once
    When I type `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --max-tokens 1` on a terminal
    Then it exits there with 0
    And the terminal showed a bar at about 6 of 15 MB, then "Connection reset: attempt 2 of 6 in 100 ms", then more

  @t001-37 @edge-case
  Scenario: All six attempts fail, as a person sees it
    Given the Hub sends 10 MB a second
    And a transfer resets at 40 % of the file, each time
    When I type `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi --max-tokens 1` on a terminal
    Then it exits there with 1
    And the terminal shows "attempt 6 of 6 in 1600 ms"
    And the terminal shows "DOWNLOAD_FAILED"
    And the terminal shows "goes on where it stopped"

  @beyond
  Scenario Outline: A transfer that <how>
    Given a transfer <how> at 60 % of the file, once
    And the setting models.download_stall_s is 1
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the hive announced attempt 2 of 6 in 100 ms
    And it said how much had come, as the Hub was then asked for the rest
    And the reason was "<reason>"
    And it was asked for again after <pause> s
    And each transfer began exactly where the one before stopped
    And the file lab/small/small.gguf is the one on the Hub

    Examples:
      | how        | reason            | pause |
      | stalls     | no byte for 1 s   | 1.1   |
      | ends early | closed early      | 0.1   |
      | truncated  | closed early      | 0.1   |

  @beyond
  Scenario: Progress resets the count: more breaks than there are attempts
    Given a transfer resets at 10 % of the file, once
    And a transfer resets at 25 % of the file, once
    And a transfer resets at 40 % of the file, once
    And a transfer resets at 55 % of the file, once
    And a transfer resets at 70 % of the file, once
    And a transfer resets at 80 % of the file, once
    And a transfer resets at 90 % of the file, once
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And each transfer began exactly where the one before stopped
    And the Hub was asked 8 times for small.gguf
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: A transfer that takes longer than the limit, but goes on
    Given the setting models.download_stall_s is 1
    And the Hub sends 6 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And it was fetched whole, in one transfer

  @beyond
  Scenario: Less than a megabyte is no progress
    Given a transfer resets at 40 % of the file, once
    And a transfer resets at 42 % of the file, once
    And a transfer resets at 44 % of the file, once
    And a transfer resets at 46 % of the file, once
    And a transfer resets at 48 % of the file, once
    And a transfer resets at 50 % of the file, once
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then the stream ends with the error DOWNLOAD_FAILED and [DONE]
    And the Hub was asked 6 times for small.gguf
    And the details say 6 attempts and 50 % of the bytes
    And whoever asks for its progress later is told that error

  @beyond
  Scenario Outline: The Hub answers <status> twice when asked for a <what>
    Given the Hub answers <status> to 2 requests for a <what>
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the file lab/small/small.gguf is the one on the Hub

    Examples:
      | status | what    |
      | 500    | listing |
      | 502    | header  |
      | 503    | file    |
      | 504    | file    |

  @beyond
  Scenario Outline: The Hub asks for a later attempt at a <what>
    Given the Hub answers 429 to 1 request for a <what>, with Retry-After 1
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the Hub saw a pause of 1 s before it was asked again for a <what>

    Examples:
      | what    |
      | listing |
      | file    |

  @beyond
  Scenario: The Hub asks for an attempt in an hour
    Given the Hub answers 429 to 1 request for a file, with Retry-After 3600
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then the hive announced attempt 2 of 6 in 60000 ms

  @beyond
  Scenario: The hive is killed in mid-download
    Given the Hub sends 8 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 50 % of small.gguf has been sent
    And the hive dies of SIGKILL
    Then the partial file is kept
    And the models folder holds no model
    When a hive is started
    Then the hive lists hf:lab/small/small.gguf as partial, with the bytes that are on the disk
    When the Hub sends 100 MB a second
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And each transfer began where the one before stopped, or at most 2 MiB earlier
    And the second transfer began at the end of the partial file
    And the Hub was asked 2 times for small.gguf
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @beyond
  Scenario: The hive is killed again and again
    Given the Hub sends 4 MB a second
    And a hive that an operator started
    When it is asked to fetch hf:lab/small/small.gguf, and killed at 5, 50 and 95 %, and asked again each time
    Then it is fetched
    And its first report has all that was here, and no speed for it
    And each transfer began where the one before stopped, or at most 2 MiB earlier
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @beyond
  Scenario: The partial file is damaged in between
    Given the Hub sends 8 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 60 % of small.gguf has been sent
    And the hive dies of SIGKILL
    And one bit of the partial file is flipped
    And a hive is started
    And the Hub sends 100 MB a second
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then the stream ends with the error CHECKSUM_MISMATCH and [DONE]
    And the models folder holds no model
    And no partial file is left
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: Each attempt asks the Hub again where the file is
    A redirect's address is signed for a few minutes only.
    Given the Hub redirects files to another host
    And a transfer resets at 60 % of the file, once
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the Hub redirected as often as the other host was asked
    And each transfer began exactly where the one before stopped
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: A web site answers in its place, as in a hotel
    The partial file must not be thrown away for a page that asks for a room number.
    Given the Hub sends 8 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 60 % of small.gguf has been sent
    And a web site listens in the place of the Hub
    Then the stream ends with the error DOWNLOAD_FAILED and [DONE]
    And the partial file has at least 40 % of small.gguf
    And the models folder holds no model

  @beyond
  Scenario: A server on the way that does not support ranges
    Given the Hub does not support ranges
    And a transfer resets at 40 % of the file, once
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: The file is changed on the Hub in between
    Given the Hub sends 8 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 50 % of small.gguf has been sent
    And the hive dies of SIGKILL
    And small.gguf in lab/small is changed on the Hub to the small changed model
    And a hive is started
    And the Hub sends 100 MB a second
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the second transfer began at 0
    And the file lab/small/small.gguf is the one on the Hub
    And no partial file is left

  @beyond
  Scenario: The file is changed on the Hub while it comes
    Given its branch v2 has small.gguf, the small changed model
    And the Hub sends 8 MB a second
    And a transfer resets at 60 % of the file, once
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 20 % of small.gguf has been sent
    And small.gguf in lab/small is changed on the Hub to the small changed model
    Then it is fetched
    And each transfer began exactly where the one before stopped
    And the file lab/small/small.gguf is still the small model

  @beyond
  Scenario: The Hub goes down in mid-download and comes back
    Given the Hub sends 8 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 50 % of small.gguf has been sent
    And the Hub goes down
    Then the hive announced attempt 3 of 6 in 200 ms
    When the Hub comes up
    Then it is fetched
    And the file lab/small/small.gguf is the one on the Hub
