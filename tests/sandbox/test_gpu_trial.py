"""The GPU's trial against a driver that is played: no GPU is needed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from autograder.errors import GpuUnavailable
from autograder.sandbox import gpu_trial, try_layer

LAYERS = ("namespaces", "landlock", "seccomp", "rlimits")


class PlayedDriver:
    """Does in this process's memory what a driver does on a GPU.

    Args:
        failing: The function that returns an error.
        idle: Whether kernels leave the numbers as they are.
    """

    def __init__(self, failing: str = "", *, idle: bool = False) -> None:
        self._failing = failing
        self._idle = idle
        self._memory: dict[int, Any] = {}
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.called.append(name)
            if name == self._failing:
                return 304
            getattr(self, f"_{name.removesuffix('_v2')}", lambda *_: None)(*arguments)
            return 0

        if not name.startswith("cu"):
            raise AttributeError(name)
        return function

    @property
    def used(self) -> int:
        """How many pieces of memory are taken."""
        return len(self._memory)

    def _cuGetErrorName(self, code: int, name: Any) -> None:
        name._obj.value = b"CUDA_ERROR_OPERATING_SYSTEM"

    def _cuMemAlloc(self, address: Any, size: ctypes.c_size_t) -> None:
        taken = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(taken)
        self._memory[ctypes.addressof(taken)] = taken

    def _cuMemcpyHtoD(self, address: ctypes.c_uint64, numbers: Any, size: ctypes.c_size_t) -> None:
        ctypes.memmove(address.value, numbers, size.value)

    def _cuMemcpyDtoH(self, numbers: Any, address: ctypes.c_uint64, size: ctypes.c_size_t) -> None:
        ctypes.memmove(numbers, address.value, size.value)

    def _cuMemFree(self, address: ctypes.c_uint64) -> None:
        del self._memory[address.value]

    def _cuModuleGetFunction(self, kernel: Any, module: Any, name: ctypes.c_char_p) -> None:
        assert b".entry " + (name.value or b"") + b"(" in gpu_trial.KERNEL

    def _cuLaunchKernel(self, kernel: Any, *sizes: Any) -> None:
        blocks, threads, arguments = sizes[0], sizes[3], sizes[8]
        address = ctypes.c_uint64.from_address(arguments[0]).value
        length = ctypes.c_uint32.from_address(arguments[1]).value
        assert blocks * threads >= length
        numbers = (ctypes.c_float * length).from_address(address)
        for place in range(0 if self._idle else length):
            numbers[place] = 2 * numbers[place] + 1


def test_a_gpu_that_computes_is_found() -> None:
    driver = PlayedDriver()
    gpu_trial.compute_on(driver)
    assert "cuLaunchKernel" in driver.called
    assert driver.used == 0


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDevicePrimaryCtxRetain", "cuMemAlloc_v2", "cuModuleLoadData", "cuCtxSynchronize"]
)
def test_the_call_that_fails_is_named_with_the_driver_s_error(failing: str) -> None:
    with pytest.raises(GpuUnavailable, match=f"{failing} returned 304 CUDA_ERROR_OPERATING_SYSTEM"):
        gpu_trial.compute_on(PlayedDriver(failing))


def test_a_kernel_that_does_nothing_is_noticed() -> None:
    with pytest.raises(GpuUnavailable, match="wrong numbers"):
        gpu_trial.compute_on(PlayedDriver(idle=True))


def test_the_layer_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needed = tmp_path / "a file of the driver"
    needed.touch()

    def use_gpu() -> None:
        if not needed.exists():
            raise GpuUnavailable("cuInit returned 304")

    def never() -> None:
        raise GpuUnavailable("cuInit returned 100 CUDA_ERROR_NO_DEVICE")

    monkeypatch.setattr(try_layer, "use_gpu", use_gpu)
    with pytest.raises(GpuUnavailable, match="304"):
        try_layer.try_gpu(("namespaces", "rlimits"))
    assert try_layer.layer_in_the_way(("namespaces", "rlimits")) == "the layer namespaces is in the way"
    monkeypatch.setattr(try_layer, "use_gpu", never)
    assert try_layer.layer_in_the_way(LAYERS) == "without any layer it is the same"
