"""Reading TensorBoard event files, for tests of what writes them."""

from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Returns tag to step to value of a folder's event files, the last value of a step.

    A file is records of length (8 bytes), its CRC (4), an event, and the event's CRC (4).
    """
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        data, position = path.read_bytes(), 0
        while position < len(data):
            length = int.from_bytes(data[position : position + 8], "little")
            event = Event.FromString(data[position + 12 : position + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            position += length + 16
    return found
