"""Stand-ins: reference parts in place of a student's wrong ones, called as the student calls their own."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

_KERAS_ARGUMENTS = ("name", "dtype", "training")
"""Arguments that Keras takes for every layer, whether its own signature lists them or not."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def stand_in_for(own: Any, reference: Any) -> Any:  # noqa: ANN401 - functions or layer classes
    """Return the reference part in a form that can be called as the student's own part.

    Arguments that the student renamed are recognised by their place; those that the reference lacks are ignored.

    Args:
        own: The student's part, or whatever they have under its name.
        reference: The reference part, a function or a layer class.
    """
    return _layer_class(own, reference) if isinstance(reference, type) else _function(own, reference)


def put_everywhere(stand_in: Any, own: Any, namespaces: Iterable[dict[str, Any]]) -> None:  # noqa: ANN401 - as above
    """Put a stand-in wherever the student's code holds the part itself, by whatever name.

    Such as in a module that imported it, as a function's default, as a class' base or within a list.

    Args:
        stand_in: What comes there.
        own: The student's part; what is neither a function nor a class is left alone.
        namespaces: Those of the student's modules.
    """
    if not callable(own):
        return
    for names in namespaces:
        for name, value in list(names.items()):
            names[name] = _with(stand_in, own, value)
            if isinstance(value, type | types.FunctionType) and value.__module__ == names.get("__name__"):
                _put_within(stand_in, own, value)


def _put_within(stand_in: Any, own: Any, part: type | types.FunctionType) -> None:  # noqa: ANN401 - as above
    """Put a stand-in among the defaults of a function or of a class' methods, and among the bases of a class."""
    if isinstance(part, types.FunctionType):
        part.__defaults__ = _each(stand_in, own, part.__defaults__ or ()) or None
        part.__kwdefaults__ = {key: _with(stand_in, own, held) for key, held in (part.__kwdefaults__ or {}).items()}
        return
    for method in vars(part).values():
        if isinstance(method, types.FunctionType):
            _put_within(stand_in, own, method)
    if own in part.__bases__:
        with suppress(TypeError):  # classes whose objects are built in another way
            part.__bases__ = _each(stand_in, own, part.__bases__)


def _with(stand_in: Any, own: Any, value: Any) -> Any:  # noqa: ANN401 - whatever a name stands for
    """Return a value with the stand-in for the student's own part; lists and dictionaries are changed in place."""
    if value is own:
        return stand_in
    if type(value) is functools.partial and value.func is own:
        return functools.partial(stand_in, *value.args, **value.keywords)
    if type(value) is tuple:
        return _each(stand_in, own, value)
    places = enumerate(value) if type(value) is list else value.items() if type(value) is dict else ()
    for place in [place for place, held in places if held is own]:
        value[place] = stand_in
    return value


def _each(stand_in: Any, own: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ANN401 - as above
    return tuple(stand_in if value is own else value for value in values)


def _function(own: Any, reference: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ANN401
    call = _CallTranslation(own, reference, known=())

    @functools.wraps(reference)
    def stand_in(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        args, kwargs = call.translate(args, kwargs)
        return reference(*args, **kwargs)

    return stand_in


def _layer_class(own: Any, reference: Any) -> type:  # noqa: ANN401
    make = _CallTranslation(own, reference, _KERAS_ARGUMENTS)
    call = _CallTranslation(getattr(own, "call", None), reference.call, _KERAS_ARGUMENTS)

    class StandInLayer(reference):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            args, kwargs = make.translate(args, kwargs)
            super().__init__(*args, **kwargs)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            (_, *args), kwargs = call.translate((self, *args), kwargs)  # type: ignore[assignment]
            return super().__call__(*args, **kwargs)

    StandInLayer.__name__ = StandInLayer.__qualname__ = reference.__name__
    return StandInLayer


class _CallTranslation:
    """Turns the arguments of a call of the student's part into those of a call of the reference part.

    Args:
        own: The student's part.
        reference: The reference part.
        known: Names of arguments that the reference takes, although its signature does not list them.
    """

    def __init__(self, own: Any, reference: Any, known: tuple[str, ...]) -> None:  # noqa: ANN401 - callable, or not
        reference_parameters = _parameters(reference)
        # The student's second parameter means the reference's second one, whatever they called it.
        pairs = zip(_parameters(own), reference_parameters, strict=False)
        self._renamed = {own: name for own, name in pairs if own not in reference_parameters}
        self._listed = [
            name
            for name, parameter in reference_parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        self._known = {*self._listed, *known}

    def translate(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Return positional and keyword arguments for the reference part."""
        renamed = {self._renamed.get(name, name): value for name, value in kwargs.items()}
        known = {name: value for name, value in renamed.items() if name in self._known}
        return args[: len(self._listed)], known


def _parameters(function: Any) -> dict[str, inspect.Parameter]:  # noqa: ANN401 - anything callable, or not
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}
