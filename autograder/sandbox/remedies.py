"""What to do on a machine that lacks a layer of confinement; `docs/security.md` says more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from autograder.errors import SandboxUnavailable

APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_APPARMOR_RULE = """AppArmor forbids user namespaces here (Ubuntu 23.10 on). Allow them for this interpreter alone, as root:
       printf 'abi <abi/4.0>,\\nprofile autograder {python} flags=(unconfined) {{ userns, }}\\n' > /etc/apparmor.d/autograder
       apparmor_parser -r /etc/apparmor.d/autograder"""  # noqa: E501 - commands to copy
_REMEDIES = {
    "namespaces": (
        "Set kernel.unprivileged_userns_clone=1 (Debian) and user.max_user_namespaces above 0. In Docker or Podman "
        "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined."
    ),
    "landlock": (
        "Use Linux 5.13 or later with landlock in the kernel's lsm= list. Inside a container, use a runtime whose "
        "seccomp profile allows the landlock_* calls, or --security-opt seccomp=unconfined."
    ),
    "seccomp": (
        "Use Linux on x86_64 or aarch64 with CONFIG_SECCOMP_FILTER; inside a container the profile must allow the call "
        "seccomp, as Docker's own does."
    ),
    "rlimits": "Inside a container the profile must allow the call prlimit64, as Docker's own does.",
    "cgroup": (
        "Start grading in a unit that systemd delegates: systemd-run --user --scope -p Delegate=yes (as a user), or "
        'let required_layers have "memory" or "watchdog" in place of "cgroup".'
    ),
    "watchdog": "Grade where /proc is mounted, with a kernel built with CONFIG_PROC_CHILDREN.",
}


def remedy_for(layer: str) -> str:
    """Return what to do about a missing layer; an empty text if no remedy is known."""
    if layer == "namespaces" and _apparmor_forbids():
        return _APPARMOR_RULE.format(python=os.path.realpath(sys.executable))
    return _REMEDIES.get(layer, "")


def unavailable(layer: str, reason: str) -> SandboxUnavailable:
    """Return the error for a layer that cannot be put up, with its remedy."""
    return SandboxUnavailable(reason, remedy_for(layer), layer=layer)


def _apparmor_forbids() -> bool:
    try:
        return os.geteuid() != 0 and APPARMOR_SWITCH.read_text().strip() == "1"
    except OSError:
        return False
