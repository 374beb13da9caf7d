"""Serve the page to this machine alone, until somebody stops it."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from autograder.errors import AutograderError, UsageError
from autograder.marking.desk import Desk
from autograder.marking.serving.guard import Guard
from autograder.marking.serving.handlers import application
from autograder.marking.serving.requests import Office

HOST = "127.0.0.1"
_LARGEST_REQUEST = 16 << 20  # a mark names every answer of its group, with what the page showed of it


def serve(desk: Desk, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until this process is interrupted or told to end.

    Args:
        desk: What is served.
        port: Where; 0 means any free one.
        ready: Receives the address as soon as somebody can go there.

    Raises:
        UsageError: If the port is taken.
    """
    asyncio.run(_serve(desk, port, ready))


async def _serve(desk: Desk, port: int, ready: Callable[[str], None]) -> None:
    try:
        sockets = bind_sockets(port, HOST)
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used: {error}.", "Leave out --port, or name another one.") from error
    port = sockets[0].getsockname()[1]
    guard = Guard(cookie=f"autograder-mark-{port}")
    stopped = asyncio.Event()
    with ThreadPoolExecutor(1, "desk") as worker:
        office = Office(desk, guard, worker)
        server = HTTPServer(application(office), max_buffer_size=_LARGEST_REQUEST)
        server.add_sockets(sockets)
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, ValueError, RuntimeError):  # in a thread, signals are not ours
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        warming = asyncio.create_task(_warm_up(office))
        ready(f"http://{HOST}:{port}/?token={guard.token}")
        await stopped.wait()
        warming.cancel()
        server.stop()


async def _warm_up(office: Office) -> None:
    """Compare the answers of one question after the other, so that whoever opens it need not wait."""
    with suppress(AutograderError):  # the page says it
        for name in office.desk.questions:
            await office.at_desk(functools.partial(office.desk.prepare, name))
