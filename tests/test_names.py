"""Every name that a function takes from its module is there: linters that know shape strings cannot tell."""

import builtins
import dis
import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import CodeType, FunctionType, ModuleType

import pytest

import segdistill

MODULES = sorted(each.name for each in walk_packages(segdistill.__path__, "segdistill.") if "__main__" not in each.name)


def codes(module: ModuleType) -> Iterator[CodeType]:
    """Yield the code of every function and method that a module defines, without what wraps it."""
    found: list[object] = list(vars(module).values())
    for each in tuple(found):
        if isinstance(each, type) and each.__module__ == module.__name__:
            members = vars(each).values()
            found += [getattr(member, "fget", None) or getattr(member, "__func__", member) for member in members]
    for each in found:
        function = inspect.unwrap(each) if isinstance(each, FunctionType) else each
        if not isinstance(function, FunctionType) or function.__module__ != module.__name__:
            continue
        if function.__code__.co_filename == getattr(module, "__file__", function.__code__.co_filename):
            yield function.__code__


def missing(code: CodeType, module: ModuleType) -> Iterator[str]:
    """Yield the names that code, and code within it, takes from a module that has none such."""
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL" and not hasattr(module, step.argval) and not hasattr(builtins, step.argval):
            yield f"{code.co_qualname}: {step.argval}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from missing(constant, module)


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there(name):
    module = import_module(name)
    assert [each for code in codes(module) for each in missing(code, module)] == []


def test_a_name_that_is_missing_is_seen():
    module = ModuleType("made_up")
    exec("def outer():\n    return [nowhere for _ in range(3)]\n", vars(module))  # noqa: S102
    module.outer.__module__ = "made_up"
    (found,) = (each for code in codes(module) for each in missing(code, module))
    assert found.endswith(": nowhere")
