"""The one place where evolved Python runs: a confined child of a warm process.

    parent (jail, reply)  --exec, empty environment-->  warm process (warm)
        warm process  --fork per request-->  keeper (keeper)
            keeper  --fork-->  child (child: confine, then trace)

The child writes frames to a pipe; the keeper collects them, holds the child to its `Limits` and
buries it; the parent reads what it gets as data from an enemy. `Jail.trace` in `jail.py` is the
way in.
"""
