"""What the four programs say to each other, each thing once.

`endpoints` names every route with its types; `tasks`, `workers`, `nodes` and `daemons` hold the
messages; `events` what streams carry; `errors` what can go wrong; `model_ref` how a model is named;
`config` what the configuration file may say. Nothing here does I/O.
"""
