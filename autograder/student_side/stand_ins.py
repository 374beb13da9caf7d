"""Stand-ins: reference parts in place of a student's wrong ones, called as the student calls their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
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
