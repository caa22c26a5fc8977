"""Jobs and evaluations as frames: what goes to a worker and what comes back."""

import dataclasses
from typing import IO, Any

from evo_clrs.executors.base import Job
from evo_clrs.jail import frames
from evo_clrs.records import Cost, Design, Evaluation, Graph, Initialiser, Parameter, SizedGraph
from evo_clrs.training.rungs import Rung

LIMIT = 1 << 30  # bytes of all graphs of a job together


def send(stream: IO[bytes], frame: frames.Frame) -> None:
    """Writes a frame; raises OSError where nobody reads."""
    stream.write(frames.encode(frame.header, frame.blobs))
    stream.flush()


def receive(stream: IO[bytes], limit: int = LIMIT) -> frames.Frame:
    """Reads a frame with blobs up to a limit; raises FrameError at the end of the stream."""
    return frames.read(stream.read, limit)


def job_frame(job: Job) -> frames.Frame:
    """Returns a job as a frame: two blobs for each size of a graph, none for a design."""
    asked = {
        "split": job.split,
        "seeds": list(job.seeds),
        "rungs": job.rungs,
        "slot": job.work.slot,
    }
    if isinstance(job.work, Design):
        return frames.Frame({**asked, "arch": job.work.arch, "choices": list(job.work.choices)})
    graph = job.work
    header = {
        **asked,
        "properties": dict(graph.properties),
        "parameters": [_parameter(p) for p in graph.parameters],
        "sizes": [[list(map(list, s.size)), s.outputs] for s in graph.sizes],
    }
    blobs = [blob for sized in graph.sizes for blob in (sized.init, sized.apply)]
    return frames.Frame(header, tuple(blobs))


def _parameter(parameter: Parameter) -> list[Any]:
    how = parameter.initialiser
    drawn = how and [how.kind, list(how.numbers)]
    return [parameter.name, list(parameter.shape), parameter.dtype, drawn]


def read_job(frame: frames.Frame) -> Job:
    """Returns the job of a frame made by `job_frame`."""
    header: dict[str, Any] = dict(frame.header)
    seeds, rungs = tuple(header["seeds"]), tuple(Rung(*rung) for rung in header["rungs"])
    if "arch" in header:
        design = Design(header["slot"], header["arch"], tuple(header["choices"]))
        return Job(design, header["split"], seeds, rungs=rungs)
    sizes = tuple(
        SizedGraph(
            size=tuple((name, value) for name, value in size),
            init=init,
            apply=apply,
            outputs=tuple(None if shape is None else tuple(shape) for shape in outputs),
        )
        for (size, outputs), init, apply in zip(
            header["sizes"], frame.blobs[0::2], frame.blobs[1::2], strict=True
        )
    )
    parameters = tuple(
        Parameter(name, tuple(shape), dtype, how and Initialiser(how[0], tuple(how[1])))
        for name, shape, dtype, how in header["parameters"]
    )
    graph = Graph(header["slot"], parameters, sizes, header["properties"])
    return Job(graph, header["split"], seeds, rungs=rungs)


def evaluation_frame(evaluation: Evaluation) -> frames.Frame:
    """Returns a worker's evaluation as a frame; facts are the gate's matter, not a worker's."""
    header = dataclasses.asdict(dataclasses.replace(evaluation, facts=None))
    return frames.Frame(header)


def read_evaluation(frame: frames.Frame) -> Evaluation:
    """Returns the evaluation of a frame made by `evaluation_frame`.

    Raises:
      FrameError: it is of no such frame.
    """
    header = dict(frame.header)
    try:
        header["cost"] = Cost(**header["cost"])
        header["seeds"] = tuple(header["seeds"])
        evaluation = Evaluation(**header)
        texts = (evaluation.status, evaluation.stage, evaluation.reason)
        numbers = (*evaluation.metrics.values(), *dataclasses.astuple(evaluation.cost))
        sound = all(isinstance(text, str) for text in texts) and all(
            isinstance(number, int | float) for number in numbers
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise frames.FrameError(f"not an evaluation ({type(error).__name__})") from None
    if not sound:
        raise frames.FrameError("not an evaluation: text for a number or a number for text")
    return evaluation
