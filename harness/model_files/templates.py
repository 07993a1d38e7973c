"""Chat templates for models of the harness's own."""

# It writes out what it is given, field by field.
_ECHOING = (
    "{% for m in messages %}{{ m.role }}|{{ m.content }}|{{ m.name }}|{{ m.reasoning_content }}|"
    "{{ m.tool_call_id }}{% for c in m.tool_calls or [] %}|{{ c.type }}|{{ c.id }}|"
    "{{ c.function.name }}|{{ c.function.arguments | tojson }}{% endfor %};{% endfor %}"
    "{{ enable_thinking }}|{{ thinking }}|{{ style | default({}) | tojson }}>"
)
# It takes for ever if the conversation begins so.
LOOPS_FOR = "loop"
_LOOPING = (
    "{% if messages[0].content == '" + LOOPS_FOR + "' %}{% for a in range(99999) %}"
    "{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
)
# It has no place for what a system says.
_SYSTEMLESS = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system.') }}"
    "{% endif %}{{ m.role }}: {{ m.content }};{% endfor %}>"
)

TEMPLATES = {"echoing": _ECHOING, "looping": _LOOPING, "systemless": _SYSTEMLESS}
