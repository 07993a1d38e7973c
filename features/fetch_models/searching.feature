@beyond
Feature: A model is found by the words of its name

  Background:
    Given the Hub has lab/story-small with these files
      | file                     | content      |
      | story-small-Q8_0.gguf    | small Q8_0   |
      | story-small-Q4_K_M.gguf  | small Q4_K_M |
      | README.md                | small Q8_0   |
    And the Hub has lab/Story-Giant with these files
      | file                | content    |
      | giant-F16.gguf      | enormous   |
      | giant-Q6_K.gguf     | larger than what is free |
      | giant-Q8_0.gguf     | small Q8_0 |
      | old/giant-Q8_0.gguf | small Q8_0 |
    And the Hub has lab/poem with poem.gguf, the small model
    And lab/Story-Giant was downloaded 1200 times in the last month

  Scenario: What there is by size, and what of it fits into this machine
    Given lab/Story-Giant requires the token hf_opensesame
    When I run `rbee-keeper search STORY`
    Then it exits with 0
    And standard error says "lab/Story-Giant is gated: its owner gives access on request."
    And standard output has the lines
      | line                                        |
      | MODEL SIZE FITS DOWNLOADS                   |
      | hf:lab/Story-Giant/giant-Q8_0.gguf 15 MB yes 1200 |
      | hf:lab/Story-Giant/old/giant-Q8_0.gguf 15 MB yes 1200 |
      | hf:lab/Story-Giant:F16 390.1 GB no 1200     |
      | hf:lab/story-small:Q4_K_M 15 MB yes 0       |
      | hf:lab/story-small:Q8_0 15 MB yes 0         |
    And hf:lab/Story-Giant:Q6_K is shown to fit
    And the Hub was asked for no file
    And nothing is running
    When I run `rbee-keeper models search lab story --limit 1 --json`
    Then it exits with 0
    And standard output says "lab/Story-Giant"
    And the Hub was last searched for "lab story" in GGUF, and for 1 repository
    When I run `rbee-keeper search nothing of the kind`
    Then it exits with 0
    And standard output is empty
    And standard error says "The Hub finds no model in GGUF for 'nothing of the kind'"

  Scenario: A client of queen and hive
    Given lab/poem requires the token hf_opensesame
    And a queen and a hive that an operator started
    Then the queen answers POST /v2/models/search {"words":"story small","limit":3,"node":"localhost"} with
      """
      {"repositories": [{"repository": "lab/story-small", "downloads": 0, "gated": false, "offered": [
        {"reference": "hf:lab/story-small/story-small-Q4_K_M.gguf", "quantization": "Q4_K_M",
         "size_bytes": "≈ 15000000 ± 500000", "fits": true},
        {"reference": "hf:lab/story-small/story-small-Q8_0.gguf", "quantization": "Q8_0",
         "size_bytes": "≈ 15000000 ± 500000", "fits": true}]}]}
      """
    And the Hub was last searched for "story small" in GGUF, and for 3 repositories
    And the hive answers POST /v1/models/search {"words":"poem"} with
      """
      {"repositories": [{"repository": "lab/poem", "downloads": 0, "gated": true, "offered": [
        {"reference": "hf:lab/poem/poem.gguf", "quantization": null,
         "size_bytes": "≈ 15000000 ± 500000", "fits": true}]}]}
      """
    And the Hub was last searched for "poem" in GGUF, and for 10 repositories
    Given the Hub answers 500 to 1 request for a listing
    Then the hive answers POST /v1/models/search {"words":"poem"} with
      """
      {"repositories": [{"repository": "lab/poem", "downloads": 0, "gated": true, "offered": null}]}
      """

  Scenario: The Hub can't be searched
    Given the Hub is down
    When I run `rbee-keeper search story`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And standard error says "The Hub could not be searched for 'story': Connection refused."
    And it is a clear message with a next step
    And nothing is running
