"""Use a GPU by the driver's own library, as TensorFlow does: start it, copy numbers there, compute, copy them back.

The kernel is text that the driver translates for whatever GPU is there, so that neither TensorFlow nor a compiler is
needed. Reference: NVIDIA, "CUDA Driver API" and "PTX ISA".
"""

from __future__ import annotations

import ctypes
from typing import Any

from autograder.errors import GpuUnavailable

DRIVER = "libcuda.so.1"
NUMBERS, THREADS = 1000, 256
KERNEL = b"""
.version 6.0
.target sm_50
.address_size 64

.visible .entry double_and_add_one(.param .u64 numbers, .param .u32 length)
{
    .reg .pred %beyond;
    .reg .f32 %value;
    .reg .b32 %block, %threads, %thread, %place, %length;
    .reg .b64 %start, %offset, %address;

    ld.param.u64 %start, [numbers];
    ld.param.u32 %length, [length];
    cvta.to.global.u64 %start, %start;
    mov.u32 %block, %ctaid.x;
    mov.u32 %threads, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.s32 %place, %block, %threads, %thread;
    setp.ge.u32 %beyond, %place, %length;
    @%beyond bra DONE;
    mul.wide.u32 %offset, %place, 4;
    add.s64 %address, %start, %offset;
    ld.global.f32 %value, [%address];
    fma.rn.f32 %value, %value, 0f40000000, 0f3F800000;
    st.global.f32 [%address], %value;
DONE:
    ret;
}
"""
"""Replaces each number x by 2 x + 1."""


def use_gpu() -> None:
    """Let the first GPU compute something, in this process.

    Raises:
        GpuUnavailable: With the driver's call that failed and its error, or since the numbers are wrong.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise GpuUnavailable(f"the NVIDIA driver's library cannot be loaded ({error})") from error
    compute_on(driver)


def compute_on(driver: Any) -> None:  # noqa: ANN401 - a library has whatever functions are asked for
    """Let a driver's first GPU compute something; for errors see `use_gpu`.

    Args:
        driver: The functions of the CUDA driver API, each of which returns 0 or the number of an error.
    """
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    _call(driver, "cuInit", 0)
    _call(driver, "cuDeviceGet", ctypes.byref(device), 0)
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    _call(driver, "cuCtxSetCurrent", context)
    numbers = (ctypes.c_float * NUMBERS)(*range(NUMBERS))
    size = ctypes.c_size_t(ctypes.sizeof(numbers))
    _call(driver, "cuMemAlloc_v2", ctypes.byref(memory), size)
    _call(driver, "cuMemcpyHtoD_v2", memory, numbers, size)
    _launch(driver, memory)
    _call(driver, "cuMemcpyDtoH_v2", numbers, memory, size)
    if list(numbers) != [2 * number + 1 for number in range(NUMBERS)]:
        raise GpuUnavailable("the GPU computes, but gives wrong numbers back")
    _call(driver, "cuMemFree_v2", memory)
    _call(driver, "cuDevicePrimaryCtxRelease_v2", device)


def _launch(driver: Any, memory: ctypes.c_uint64) -> None:  # noqa: ANN401 - see `compute_on`
    """Run the kernel on the numbers in the GPU's memory, and wait for its end."""
    module, kernel, length = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint32(NUMBERS)
    _call(driver, "cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(KERNEL))
    _call(driver, "cuModuleGetFunction", ctypes.byref(kernel), module, ctypes.c_char_p(b"double_and_add_one"))
    arguments = (ctypes.c_void_p * 2)(ctypes.addressof(memory), ctypes.addressof(length))
    grid, block = (-(-NUMBERS // THREADS), 1, 1), (THREADS, 1, 1)
    _call(driver, "cuLaunchKernel", kernel, *grid, *block, 0, None, arguments, None)
    _call(driver, "cuCtxSynchronize")


def _call(driver: Any, function: str, *arguments: object) -> None:  # noqa: ANN401 - see `compute_on`
    code = getattr(driver, function)(*arguments)
    if code != 0:
        name = ctypes.c_char_p()
        driver.cuGetErrorName(code, ctypes.byref(name))
        raise GpuUnavailable(f"{function} returned {code} {(name.value or b'').decode()}")
