"""Read a callable's signature from its source, so that a config is checked without importing TensorFlow."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
from dataclasses import dataclass
from pathlib import Path

_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Argument:
    """One keyword a callable takes: its annotation as source text and its default, where the source shows them."""

    name: str
    required: bool
    annotation: str | None = None
    default: object = _EMPTY


@dataclass(frozen=True)
class CallSignature:
    """The keywords that a target takes; `open` where it also takes any other (`**kwargs`)."""

    arguments: dict[str, Argument]
    open: bool


def read_signature(target: str) -> CallSignature:
    """Return the signature of a dotted path such as `keras.callbacks.EarlyStopping`.

    Modules are parsed, not imported; names are followed through `from x import y`. What the source does not
    show (a name made at run time) is imported after all.

    Raises:
        LookupError: there is no such module or name in it; the text says which.
    """
    module, _, name = target.rpartition(".")
    if not module:
        raise LookupError(f"{target!r} is not a dotted path to a callable")
    found = _find(module, name)
    if found is None:
        return _imported(module, name)
    path, node = found
    if isinstance(node, ast.ClassDef):
        init = _init_of(path, node)
        return _from_arguments(init.args, skip_first=True) if init else _imported(module, name)
    return _from_arguments(node.args, skip_first=False)


Definition = ast.ClassDef | ast.FunctionDef


def _find(module: str, name: str, depth: int = 0) -> tuple[str, Definition] | None:
    """The module and syntax tree that define `module.name`; None where only running the module can tell."""
    source = _source(module)
    if source is None or depth > 12:
        return None
    tree = _parse(source)
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    dynamic = False
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            if node.name == name:
                return module, node
            dynamic = dynamic or node.name == "__getattr__"
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, package)
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(origin, alias.name, depth + 1)
                dynamic = dynamic or alias.name == "*"
        elif not isinstance(node, ast.Expr | ast.Import):
            dynamic = True  # an assignment or a condition may define the name
    if dynamic:
        return None
    raise LookupError(f"module {module!r} has no {name!r}")


def _init_of(module: str, node: ast.ClassDef) -> ast.FunctionDef | None:
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            return child
    for base in node.bases:
        dotted = ast.unparse(base)
        if dotted in ("object", "Protocol"):
            continue
        head, _, tail = dotted.rpartition(".")
        owner = _module_of(module, head) if head else module
        try:
            found = _find(owner, tail)
        except LookupError:
            continue
        if found and isinstance(found[1], ast.ClassDef) and (init := _init_of(found[0], found[1])):
            return init
    return None


def _module_of(module: str, alias: str) -> str:
    """What `alias` (as in `alias.Class`) is called where `module` imported it."""
    source = _source(module)
    for node in _parse(source).body if source else ():
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                if (name.asname or name.name) == alias:
                    return f"{_absolute(node, module.rpartition('.')[0])}.{name.name}"
    return alias


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")
    base = base[: len(base) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)


@functools.cache
def _source(module: str) -> Path | None:
    """The file of a module, found without importing its parents."""
    head, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(head)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise LookupError(f"there is no module {head!r}")
    roots = [Path(root) for root in spec.submodule_search_locations or ()]
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in roots:
        folder = root.joinpath(*rest)
        for candidate in (folder.with_suffix(".py"), folder / "__init__.py"):
            if candidate.is_file():
                return candidate
        if folder.is_dir() or list(folder.parent.glob(f"{folder.name}.*.so")):
            return None
    raise LookupError(f"there is no module {module!r}")


@functools.cache
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text())
    except SyntaxError as error:
        raise LookupError(f"{path.name} line {error.lineno} is not valid Python ({error.msg})") from error


def _from_arguments(args: ast.arguments, *, skip_first: bool) -> CallSignature:
    positional = [*args.posonlyargs, *args.args][1 if skip_first else 0 :]
    padding: list[ast.expr | None] = [None] * max(0, len(positional) - len(args.defaults))
    defaults = [*padding, *args.defaults][-len(positional) :] if positional else []
    pairs = [*zip(positional, defaults, strict=True), *zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    arguments = {
        arg.arg: Argument(
            arg.arg, default is None, ast.unparse(arg.annotation) if arg.annotation else None, _literal(default)
        )
        for arg, default in pairs
    }
    return CallSignature(arguments, open=args.kwarg is not None)


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else _EMPTY
    except ValueError:
        return _EMPTY


def _imported(module: str, name: str) -> CallSignature:
    try:
        target = getattr(importlib.import_module(module), name)
        signature = inspect.signature(target)
    except ImportError as error:
        raise LookupError(f"module {module!r} cannot be imported ({error})") from error
    except AttributeError:
        raise LookupError(f"module {module!r} has no {name!r}") from None
    except (TypeError, ValueError):
        return CallSignature({}, open=True)
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    arguments = {
        parameter.name: Argument(parameter.name, parameter.default is _EMPTY, None, parameter.default)
        for parameter in signature.parameters.values()
        if parameter.kind in keywords
    }
    variadic = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    return CallSignature(arguments, open=variadic)
