"""A stand-in is called as the student calls their own part, whatever they named its arguments."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from autograder.student_side.stand_ins import put_everywhere, stand_in_for


def scale(x: Any, factor: Any = 1) -> Any:
    """The reference."""
    return x * factor


class Shift:
    """A reference layer, as Keras would call it."""

    def __init__(self, amount: int = 1, **kwargs: Any) -> None:
        self.amount, self.kwargs = amount, kwargs

    def call(self, x: Any) -> Any:
        """Shift."""
        return x + self.amount

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `call`, as Keras does."""
        return self.call(*args, **kwargs)


def renamed(value: Any, by: Any = 1, mask: Any = None) -> None:
    """A student's own, with other names and one argument more."""


@pytest.mark.parametrize("own", [renamed, scale, None, "no function"])
def test_arguments_in_their_places_go_through(own: Any) -> None:
    assert stand_in_for(own, scale)(2, 3) == 6


def test_renamed_arguments_are_recognised_by_their_place() -> None:
    assert stand_in_for(renamed, scale)(value=2, by=3) == 6


def test_arguments_that_the_reference_lacks_are_ignored() -> None:
    assert stand_in_for(renamed, scale)(2, 3, None) == stand_in_for(renamed, scale)(2, by=3, mask=1) == 6
    assert stand_in_for(renamed, scale)(2, by=3, name="block") == 6  # every layer takes a name, no function does


def test_names_that_the_reference_has_are_left_alone() -> None:
    def swapped(factor: Any, x: Any) -> None: ...

    assert stand_in_for(swapped, scale)(x="ab", factor=2) == "abab"


def test_a_layer_is_made_and_called_under_the_names_of_the_students_own() -> None:
    class Own:
        def __init__(self, how_far: int = 0) -> None: ...

        def call(self, tokens: Any, mask: Any = None) -> None: ...

    layer = stand_in_for(Own, Shift)(how_far=4, name="shift")
    assert (layer.amount, layer.kwargs) == (4, {"name": "shift"})
    assert layer(tokens=2, mask=1) == layer(2, None) == 6
    assert type(layer).__name__ == "Shift"


def test_a_stand_in_comes_wherever_the_part_itself_is_held() -> None:
    own: dict[str, Any] = {"__name__": "attention"}
    exec("class Attention:\n    def call(self): return 'own'\n", own)  # noqa: S102 - a student's module
    part = own["Attention"]
    blocks: dict[str, Any] = {"__name__": "blocks", "Imported": part, "make": functools.partial(part), "number": 3}
    blocks |= {"kinds": {"attention": part}, "parts": [part, None], "pair": (part, "text")}
    exec(  # noqa: S102
        "class Renamed(Imported): pass\n"
        "class Block:\n    def __init__(self, kind=Imported, number=number): self.attention = kind()\n"
        "def block(*, kind=Imported): return kind().call()\n",
        blocks,
    )

    class StandIn:
        def call(self) -> str:
            return "stand-in"

    put_everywhere(StandIn, part, [own, blocks])
    assert own["Attention"] is blocks["Imported"] is blocks["kinds"]["attention"] is StandIn
    assert blocks["parts"] == [StandIn, None]
    assert blocks["pair"] == (StandIn, "text")
    made = (blocks["make"](), blocks["Renamed"](), blocks["Block"]().attention)
    assert [one.call() for one in made] == ["stand-in"] * 3
    assert blocks["block"]() == "stand-in"


def test_what_is_no_part_is_put_nowhere() -> None:
    names = {"__name__": "module", "nothing": None}
    put_everywhere(scale, None, [names])
    assert names["nothing"] is None
