"""Escapes into other jobs: what was there before, what runs beside, what comes after."""

from __future__ import annotations

from mull.verify.sandbox.escapes.base import MEMORY, Escape

_SEARCH = """
import gc
word = "bait" + "_"
def search():
    found = []
    for thing in gc.get_objects():
        try:
            text = repr(thing) if isinstance(thing, (str, bytes, tuple, list, dict)) else ""
        except Exception:
            continue
        at = text.find(word)
        if at >= 0:
            found.append(text[at:at + 40])
    return found
"""
_EVERYWHERE = """
def everywhere():
    with open(f"/proc/{os.getppid()}/stat") as file:
        family = [int(file.read().rpartition(")")[2].split()[1])]  # who made our keeper made the others
    for pid in family:
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                family += [int(child) for child in file.read().split()]
            look(pid)
        except OSError:
            pass
    raise LookupError
"""

NEIGHBOURS = (
    Escape(
        "an earlier job",
        "looks in memory for what was judged before",
        _SEARCH
        + """
print(search())
print('tried')
""",
    ),
    Escape(
        "a job beside it",
        "looks for what is judged beside it in the memory of all that its fork server made",
        MEMORY
        + _EVERYWHERE
        + """
attempt(everywhere)
""",
    ),
    Escape(
        "poisoned /tmp",
        "leaves files for the next program",
        """
for name in (H['nonce'], H['nonce'] + '.py'):
    try: open('/tmp/' + name, 'w').write('x = 1')
    except OSError: pass
print('tried')
""",
        then="""
left = [name for name in ('/tmp/' + H['nonce'], '/tmp/' + H['nonce'] + '.py') if os.path.exists(name)]
for name in left: os.unlink(name)
attempt(lambda: left or fail(2))
""",
    ),
    Escape(
        "poisoned imports",
        "changes what the next program imports: modules, built-ins, the import itself",
        """
import builtins, gc, json, math, random
builtins.planted = math.planted = json.planted = 1
math.isclose = lambda *given, **named: True
builtins.sorted = lambda *given, **named: []
sys.modules['mull_planted'] = math
sys.path.insert(0, '/tmp')
random.seed = None
for thing in gc.get_objects():
    if type(thing) is dict and '__builtins__' in thing: thing['planted'] = 1
print('tried')
""",
        then="""
import builtins, json, math
places = (builtins, math, json, sys.modules['__main__'])
found = any(hasattr(place, 'planted') for place in places) or 'mull_planted' in sys.modules
found = found or math.isclose(1, 2) or sorted([2, 1]) != [1, 2]
attempt(lambda: 'planted' if found else fail(2))
""",
    ),
)
