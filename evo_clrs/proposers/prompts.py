"""Requests as text, for a language model to answer: templates and what fills them.

Templates are Jinja files in the folder `templates`; `--prompt` chooses the one by which programs
are asked for, and may name a file of one's own. `paper` is EvoPrompting's few-shot prompt and ends
with the opening of the definition, for a model to go on with. `edits` is the same with parents that
are stripped of comments and formatting, and edits of one of them to go on with: for small models,
which read and write little at a time. `chat` is for models that follow instructions. Requests for
principles are LAPT's (`principles`), whatever `--prompt` says, and requests to improve GENIUS's
(`improve`) but with `edits`, which has no words.

A template is given: `request` (`records.Request`), `slot` (`slots.Slot`), `opening` (the slot's,
without its line end), `parents` (sources stripped), `scored` (those of them with an accuracy),
`choices` (of a slot with a design space: places and options, places with equal options together),
`rejections` (the last refused programs, each with source and reason), and the filters `header`
(metrics as the paper's docstring), `told` (metrics as text by name), `comment` and `bare` (parents
without comments and formatting). A template may include a packaged one, and set `wordless` for it
to leave out what is to be done in words.

References: Chen, Dohan, So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, https://arxiv.org/abs/2302.14838; Zheng et al., "Can GPT-4 Perform Neural
Architecture Search?", 2023, https://arxiv.org/abs/2304.10970; Zhou et al., "Design Principle
Transfer in Neural Architecture Search via Large Language Models", AAAI 2025,
https://arxiv.org/abs/2408.11330.
"""

import contextlib
import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.sandbox

from evo_clrs import program
from evo_clrs.errors import UserError
from evo_clrs.proposers import patches
from evo_clrs.records import Parent, Request
from evo_clrs.slots import Slot
from evo_clrs.spaces import Space

FOLDER = Path(__file__).parent / "templates"
PACKAGED = ("paper", "edits", "chat")  # what `--prompt` may name; all else is a file

_ROLE = re.compile(r"^<\|(system|user|assistant)\|>\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Rejection:
    """A program that was refused lately, as a prompt may show it.

    Attributes:
      source: its source text.
      reason: why it was refused, in one line.
    """

    source: str
    reason: str


@dataclasses.dataclass(frozen=True)
class _Choice:
    """Places of a design space that have the same options."""

    places: tuple[str, ...]
    options: tuple[str, ...]


class Prompts:
    """Writes prompts by templates.

    Attributes:
      digest: of the template chosen: prompts of equal digests are equal.
    """

    def __init__(self, name: str, text: str):
        """Reads the template that programs are asked for by.

        Args:
          name: what to call it in an error, its path where it is a file.
          text: the template.

        Raises:
          UserError: it is no template; the message names its line.
        """
        self._name = name
        environment = _environment(name not in PACKAGED)
        with _explained(name):
            self._program = environment.from_string(text)
            others = jinja2.meta.find_referenced_templates(environment.parse(text))
            texts = [text, *(_text(other) for other in others if other)]
        self.digest = hashlib.sha256("".join(texts).encode()).hexdigest()[:16]

    def build(self, request: Request, slot: Slot, rejections: Sequence[Rejection] = ()) -> str:
        """Returns the prompt of a request.

        Raises:
          UserError: the template asks for something that there is not.
        """
        wordless = self._name == "edits" and request.operation == "improve"
        own = request.operation in ("improve", "principles") and not wordless
        template = _packaged(request.operation) if own else self._program
        parents = [
            Parent(parent.program, _shown(parent.source), parent.metrics)
            for parent in request.parents
        ]
        with _explained(request.operation if own else self._name):
            return template.render(
                request=request,
                slot=slot,
                opening=slot.opening.rstrip("\n"),
                parents=parents,
                scored=[parent for parent in parents if "val_accuracy" in parent.metrics],
                choices=() if slot.space is None else _choices(slot.space),
                rejections=rejections,
                wordless=False,
            )


@functools.lru_cache(maxsize=8)
def load(name: str) -> Prompts:
    """Returns the prompts of a packaged template, or of a file.

    Raises:
      UserError: there is no such template, or it cannot be read.
    """
    path = FOLDER / f"{name}.jinja" if name in PACKAGED else Path(name)
    try:
        return Prompts(name, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        choices = ", ".join(PACKAGED)
        raise UserError(f"--prompt={name}: {told}; name one of {choices}, or a file") from None


def header(metrics: Mapping[str, float]) -> str:
    """Returns the docstring line that tells metrics as a dict of strings."""
    return f'"""Metrics: {told(metrics)}"""'


def told(metrics: Mapping[str, float]) -> dict[str, str]:
    """Returns metrics as text, by name.

    Counts (`num_...`) are whole, all else has the three decimals that targets are rounded to.
    """
    return {
        name: f"{value:.0f}" if name.startswith("num_") else f"{value:.3f}"
        for name, value in metrics.items()
    }


def repair(prompt: str, reply: str, source: str, reason: str, slot: Slot) -> str:
    """Returns the prompt that sends a refused reply back with the reason.

    A prompt that edits go on from has no words for one: it is asked again as it is, for another
    draw.

    Args:
      prompt: what was asked.
      reply: what was answered, as it came.
      source: the program that was read from it.
      reason: why it was refused, in one line.
      slot: what the program must define.
    """
    if prompt.endswith(patches.OPENING):
        return prompt
    roles = bool(messages(prompt)[1:])
    opening = slot.opening.rstrip("\n")
    if not roles:
        prompt = prompt.removesuffix(slot.opening).rstrip("\n")
    return _packaged("repair").render(
        prompt=prompt.rstrip("\n"),
        reply=_without_roles(reply.strip()),
        source=source.strip(),
        reason=reason,
        roles=roles,
        opening=opening,
    )


def messages(prompt: str) -> list[dict[str, str]]:
    """Returns a prompt as the messages of a chat; one without roles is a single message."""
    first, *parts = _ROLE.split(prompt)
    found = [("user", first)] if first.strip() or not parts else []
    found += zip(parts[::2], parts[1::2], strict=True)
    return [{"role": role, "content": content.strip("\n") + "\n"} for role, content in found]


def plain(prompt: str) -> str:
    """Returns a prompt as one text, for models that know no roles and go on with it.

    The line end is left to the model: most tokenizers join it to the spaces that follow, and a
    model seldom saw it alone.
    """
    return _ROLE.sub("", prompt).rstrip("\n")


def _without_roles(text: str) -> str:
    """Returns text in which no line begins a message: what a model wrote is no instruction."""
    return _ROLE.sub(lambda match: " " + match[0], text + "\n")[:-1]


@functools.lru_cache(maxsize=256)
def _shown(source: str) -> str:
    """Returns a program as prompts show it; a parent is shown many times."""
    return _without_roles(source.strip())


@functools.lru_cache(maxsize=8)
def _choices(space: Space) -> Sequence[_Choice]:
    """Returns places and options of a space, in its order, places with equal options together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for place in space.places:
        groups.setdefault(place.options, []).append(place.name)
    return [_Choice(tuple(places), options) for options, places in groups.items()]


@functools.lru_cache(maxsize=256)
def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def _all_bare(parents: Sequence[Parent]) -> Sequence[Parent]:
    return [dataclasses.replace(parent, source=_bare(parent.source)) for parent in parents]


@functools.lru_cache(maxsize=8192)  # of a corpus, every parent is shown in every epoch
def _bare(source: str) -> str:
    """Returns a program's code alone; what is no program stays as it is."""
    try:
        return program.bare(source).strip()
    except ValueError:
        return source


@functools.lru_cache(maxsize=2)
def _environment(sandboxed: bool) -> jinja2.Environment:
    """Returns what templates are read by; a file of one's own runs in Jinja's sandbox."""
    kind = jinja2.sandbox.ImmutableSandboxedEnvironment if sandboxed else jinja2.Environment
    environment = kind(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # prompts are plain text
        loader=jinja2.FileSystemLoader(FOLDER),
    )
    filters = {"header": header, "told": told, "comment": _comment, "bare": _all_bare}
    environment.filters.update(filters)
    return environment


@functools.lru_cache(maxsize=8)
def _packaged(name: str) -> jinja2.Template:
    return _environment(False).from_string(_text(f"{name}.jinja"))


def _text(file: str) -> str:
    try:
        return (FOLDER / file).read_text(encoding="utf-8")
    except OSError:
        raise LookupError(f"there is no packaged template {file}") from None


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns an error of a template into a `UserError` that names it."""
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"prompt {name}, line {error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
        raise UserError(f"prompt {name}: {error}") from error
