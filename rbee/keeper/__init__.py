"""rbee-keeper: the command line, and the only program that a person touches.

It talks to nothing but the queen (`session.queen` finds or starts one), shows what comes
(`rbee.runtime.screen`), and believes an answer only with its proof (`chat.answer`).
"""
