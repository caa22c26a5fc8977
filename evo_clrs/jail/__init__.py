"""The one place where evolved Python runs: a confined child of a warm process.

    parent (jail, reply)  --exec, empty environment-->  warm process (warm)
        warm process  --fork per request-->  keeper (keeper)
            keeper  --fork-->  child (child: confine, then trace)

A graph that comes out is read by a second child, in which no program has run, before the parent
believes it (`gates.artefacts`). On macOS each child is spawned under sandbox-exec (`macos`).

The child writes frames to a pipe; the keeper collects them, holds the child to its `Limits` and
buries it; the parent reads what it gets as data from an enemy. `Jail.trace` in `jail.py` is the
way in.
"""
