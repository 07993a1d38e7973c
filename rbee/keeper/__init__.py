"""rbee-keeper: the command line, and the only thing that a person touches.

It talks to nobody but the queen (`services.queen` finds or starts one), shows what comes
(`adapters.screen`), and believes an answer only with its proof (`core.answer`).
"""
