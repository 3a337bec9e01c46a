"""A YAML file read into a pydantic model: what is wrong is named by file, line and field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from service.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The fields of a YAML file, and where they stand in it."""

    path: Path
    fields: dict[Any, Any]
    root: yaml.Node | None
    """None: the file holds nothing, or comments alone."""

    def place(self, keys: Sequence[object]) -> str:
        """`file:line` of the field under these keys, or of the innermost around it."""
        node, line = self.root, 0
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                pairs = ((of, held) for of, held in node.value if of.value == str(key))
                of, node = next(pairs, (None, None))
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
                of = node = node.value[key] if key < len(node.value) else None
            else:
                break
            line = of.start_mark.line + 1 if of is not None else line
        return f"{self.path}:{line}" if line else str(self.path)

    def line(self, keys: Sequence[object], told: str, what: str = "") -> str:
        """What is wrong with a field, in one line whatever its name; `what` names the whole."""
        said = f"{self.place(keys)}: {'.'.join(map(str, keys)) or what}: {told}"
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in said)


def read_yaml(path: Path, model: type[Model], what: str) -> Model:
    """Read `path` as `model`; `what` is what the file is called in an error, say "template".

    Raises `ConfigurationError`: it cannot be read, is not YAML (with the line), or a field is
    wrong, missing or unknown.
    """
    file = read_fields(path, what)
    if file.root is None:
        raise ConfigurationError(f"{path}: must hold the fields of a {what}")
    try:
        return model.model_validate(file.fields)
    except ValidationError as error:
        raise ConfigurationError(faults(file, error, what)[0]) from error


def faults(file: YamlFile, error: ValidationError, what: str) -> list[str]:
    """Each fault of a validation in a line: file, line, field, and what is wrong with it."""
    found = error.errors(include_url=False, include_input=False)
    return [file.line(one["loc"], _remedy(one["type"], one["msg"], what), what) for one in found]


def read_fields(path: Path, what: str) -> YamlFile:
    """The fields of a YAML file; a file without any has none.

    Raises `ConfigurationError`, with the line: it cannot be read, is not YAML, names a field twice,
    or holds something else than fields. `what` is what the file is called then.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is not None:
            _refuse_repeated(path, root)
        fields = loader.construct_document(root) if root is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f"{path}:{place.line + 1}" if place is not None else str(path)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not YAML")
        raise ConfigurationError(f"{where}: not valid YAML: {problem}") from error
    except RecursionError:
        raise ConfigurationError(f"{path}: has fields within fields without end") from None
    if fields is None:
        return YamlFile(path, {}, None)
    if not isinstance(fields, dict):
        raise ConfigurationError(f"{path}: must hold the fields of a {what}")
    return YamlFile(path, fields, root)


class _Loader(yaml.SafeLoader):
    """A value that is none of its type, such as the date 2026-02-31, is told with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. Raises `yaml.YAMLError`."""
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from error


def _refuse_repeated(path: Path, root: yaml.Node) -> None:
    """Raise `ConfigurationError` where a mapping has a key twice: YAML's reader keeps the last."""
    for mapping in _mappings(root):
        lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if before := lines.get((key.tag, key.value)):
                name = key.value if key.value.isprintable() else repr(key.value)
                raise ConfigurationError(
                    f"{path}:{line}: {name} is given twice, first in line {before}: keep one"
                )
            lines[key.tag, key.value] = line


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping below `root`, each once: an alias is the node that it stands for."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [held for _, held in node.value]
        else:
            waiting += node.value


def _remedy(kind: str, message: str, what: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return f"is not a field of a {what}; remove it or correct its spelling"
    return message.removeprefix("Value error, ")
