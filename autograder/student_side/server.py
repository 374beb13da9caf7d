"""The student-side server: answers the grader's questions about one submission.

Runs behind the wall, in a fork of the zygote that has already confined itself. The grader trusts nothing here,
since student code shares this process: every answer is only data to compare.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from autograder import wire
from autograder.sandbox.policy import Places
from autograder.student_side.conversion import Converter
from autograder.student_side.error_places import describe_error
from autograder.student_side.jupyter import clear_working_folder, enter_working_folder, offer_names
from autograder.student_side.layer_answers import LayerAnswers
from autograder.student_side.private_names.other_keras import OtherKerasFinder
from autograder.student_side.private_names.shortcuts import take_shortcuts, traced_once
from autograder.student_side.running import run_text
from autograder.student_side.submitted_code import SubmittedModule, SubmittedNotebook
from autograder.student_side.training_observer import observed_events, observed_files


class Server:
    """Answers one question after another about one submission.

    Args:
        places: Where the submission lies and where files may be written.
    """

    def __init__(self, places: Places) -> None:
        take_shortcuts()
        offer_names(run_text)
        self._submission = places.submission
        self._folder = enter_working_folder(places.submission, places.scratch)
        self._converter = Converter()
        self._module = SubmittedModule(places.submission, self._folder)
        self._notebook = SubmittedNotebook()
        self._other_keras = OtherKerasFinder()
        layers = LayerAnswers(self._module, self._converter)
        self._answers: dict[type[wire.Question], Callable[[Any], wire.Value]] = {
            wire.Load: self._module.load,
            wire.StandIn: self._module.use_stand_ins,
            wire.Call: self._call,
            wire.Wrap: layers.wrap,
            wire.Apply: layers.apply,
            wire.Gradients: layers.gradients,
            wire.Describe: layers.describe,
            wire.SetWeights: layers.set_weights,
            wire.GetWeights: layers.get_weights,
            wire.BuildModel: layers.build_model,
            wire.Count: layers.count,
            wire.RunCell: self._notebook.run,
            wire.Restart: self._notebook.restart,
            wire.Lacking: self._notebook.lacking,
            wire.Read: self._read,
            wire.Assign: self._assign,
            wire.Forget: self._forget,
            wire.Train: self._train,
            wire.OtherKeras: lambda question: wire.Items(list(self._other_keras.harmful())),
        }

    def serve(self, requests: int, replies: int) -> NoReturn:
        """Answer until the grader closes the pipe, then end the process without clean-up.

        Args:
            requests: Descriptor to read questions from.
            replies: Descriptor to write answers to.
        """
        while True:
            try:
                request = wire.decode_request(wire.read_frame(requests, wire.MAX_REQUEST_BYTES))
            except Exception:  # the grader is gone: nobody is left to tell
                os._exit(0)
            wire.write_frame(replies, self._frame(request))

    def _frame(self, request: wire.Request) -> bytes:
        """Return the frame of an answer, or of what is wrong with one that cannot cross, such as a number too large."""
        try:
            return wire.encode_frame(self.answer(request))
        except Exception as error:  # of the encoder
            return wire.encode_frame(describe_error(request.id, error, self._folder))

    def answer(self, request: wire.Request) -> wire.Reply:
        """Return the answer to one question; whatever student code raises becomes a `Raised`."""
        try:
            value = self._answers[type(request.question)](request.question)
            return wire.Answer(request.id, value)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are student code's too
            return describe_error(request.id, error, self._folder)

    def _call(self, question: wire.Call) -> wire.Value:
        if question.space == "module":
            function, convert = self._module.find(question.name), self._converter.to_tensor
        else:
            function, convert = self._notebook.find(question.name), self._converter.to_plain
        args = [convert(value) for value in question.args]
        kwargs = {key: convert(value) for key, value in question.kwargs.items()}
        return self._converter.to_wire(function(*args, **kwargs))

    def _read(self, question: wire.Read) -> wire.Value:
        return self._converter.to_wire(self._notebook.find(question.name))

    def _assign(self, question: wire.Assign) -> None:
        for name, value in question.variables.items():
            self._notebook.names[name] = self._converter.to_plain(value)

    def _forget(self, question: wire.Forget) -> None:
        for name in question.names:
            self._notebook.names.pop(name, None)
        clear_working_folder(self._submission, self._folder)

    def _train(self, question: wire.Train) -> wire.Value:
        function = self._notebook.find(question.name)
        args = [self._converter.to_plain(value) for value in question.args]
        kwargs = {key: self._converter.to_plain(value) for key, value in question.kwargs.items()}
        if question.folder is not None:
            Path(question.folder).mkdir(exist_ok=True)
        names = self._notebook.names
        with traced_once(), observed_events(names, question.inner) as events, observed_files() as saved:
            result = function(*args, **kwargs)
        history = getattr(result, "history", None)
        return wire.Table(
            {
                "history": self._converter.to_wire(history) if isinstance(history, dict) else None,
                "events": self._converter.to_wire(events),
                "saved": self._converter.to_wire(saved),
            }
        )
