"""Keras 3 in a student process: kept out until code asks for it, and noted where its layers are made.

The course builds on tf_keras. Neither thing has a public place in Keras 3, so two of its private modules are named.
`tests/student_side/test_private_names.py` says when one of them has moved.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

_OPTIMIZERS = "keras.src.optimizers"
_LAYER = "keras.src.layers.layer"
_MOST_LAYERS = 100
"""Layers that are kept until the next question about them."""


@contextmanager
def without_other_keras() -> Iterator[None]:
    """Let TensorFlow be imported without Keras 3; `tf.keras` imports it when code asks for it.

    TensorFlow does without it where one private module cannot be imported. When that moves, Keras 3 is imported, too.
    """
    sys.modules[_OPTIMIZERS] = None  # type: ignore[assignment]  # Python's way to say that there is no such module
    try:
        yield
    finally:
        del sys.modules[_OPTIMIZERS]


class OtherKerasFinder(MetaPathFinder):
    """Notes which layers of Keras 3, which `tf.keras` and `keras` are, a student's code makes; it is imported late.

    A model of tf_keras does not see the weights of such a layer, and tells it nothing of training. Keras 3 has no
    public place where every layer passes, so its class is watched in the private module that defines it. When that
    moves, no layer is noted any more: students then read what Keras itself says of the mixture.
    """

    def __init__(self) -> None:
        self._made: deque[Any] = deque(maxlen=_MOST_LAYERS)  # the layers: a model may not keep them
        loaded = sys.modules.get(_LAYER)
        if loaded is None:
            sys.meta_path.insert(0, self)
        else:
            self._watch(loaded)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find that one module, and watch its class once it is loaded."""
        spec = PathFinder.find_spec(fullname, path) if fullname == _LAYER else None
        if spec is not None and spec.loader is not None:
            load: Callable[[types.ModuleType], None] = spec.loader.exec_module

            def load_and_watch(module: types.ModuleType) -> None:
                load(module)
                self._watch(module)

            spec.loader.exec_module = load_and_watch  # type: ignore[method-assign]
        return spec

    def harmful(self) -> list[str]:
        """Return the classes of layers made since the last call that cannot work within tf_keras, each once.

        One that is built and has no variables, not even a dropout's random state, computes the same in any model.
        """
        kinds = dict.fromkeys(type(layer).__name__ for layer in self._made if not _is_harmless(layer))
        self._made.clear()
        return list(kinds)

    def _watch(self, module: types.ModuleType) -> None:
        layer_class = module.Layer
        make = layer_class.__new__

        def noted(cls: type, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Keras' own
            layer = make(cls, *args, **kwargs)
            self._made.append(layer)
            return layer

        layer_class.__new__ = noted


def _is_harmless(layer: Any) -> bool:  # noqa: ANN401 - a layer of Keras 3
    try:
        return bool(layer.built) and not layer.variables and type(layer).__name__ != "InputLayer"
    except Exception:  # a student's own class may have anything there
        return False
