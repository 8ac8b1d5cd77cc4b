# SPDX-License-Identifier: Apache-2.0
"""The launchers to measure: each one's command for the same program in the same image, with
the mounts that come closest to those of the others. Launchers that do not run here are left
out, with the reason."""

import json
import os
import shutil
import subprocess


class Launcher:
    """`like`: the name of the ch-run variant that comes closest to doing the same."""

    def __init__(self, name, command, version="", note="", like="ch-run"):
        self.name, self.command, self.version, self.note = name, command, version, note
        self.like = like


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip().split("\n")[0]


def bundle(runtime, image, program, folder):
    """Makes an OCI bundle with the configuration that the runtime generates for ordinary users."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run([runtime, "spec", "--rootless"], cwd=folder, check=True, capture_output=True)
    path = os.path.join(folder, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["process"]["terminal"] = False
    config["process"]["args"] = [program]
    config["root"] = {"path": image, "readonly": True}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    return folder


def launchers(image, program, ch_run, work):
    """Returns [Launcher], and [(name, reason for leaving it out)]. `program` is a path in the
    image; it has no libc, so it also runs outside. `work` is a folder for temporary files."""
    outside = image + program
    found = [Launcher("bare exec", [outside], note="the program itself, no container"),
             Launcher("ch-run", [ch_run, image, "--", program], first_line(ch_run, "--version"))]
    without = ["--no-home", "--no-passwd"]
    for options in (without[:1], without):
        found.append(Launcher(" ".join(["ch-run", *options]),
                              [ch_run, *options, image, "--", program]))
    least = found[-1].name
    missing = []

    def add(name, tool, command, note="", version=(), like=least):
        path = tool if "/" in tool else shutil.which(tool)
        if path is None or not os.path.exists(path):
            missing.append((name, "is not installed"))
            return
        words = [path, *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            why = (done.stderr.strip() or f"exit status {done.returncode}").split("\n")[-1]
            missing.append((name, f"does not run here: {why}"))
            return
        found.append(Launcher(name, words, first_line(path, *(version or ["--version"])), note,
                              like))

    add("unshare -Urm", "unshare", ["-Urm", outside], "namespaces only: no image, no mounts")
    mounts = ["--ro-bind", image, "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc",
              "--bind", "/sys", "/sys", "--bind", "/tmp", "/tmp"]
    add("bubblewrap", "bwrap", [*mounts, "--unshare-user", program])
    home = os.environ.get("HOME", "/")
    mounts += ["--tmpfs", "/home", "--bind", home, "/home/" + os.path.basename(home)]
    for file in ("passwd", "group", "hosts", "resolv.conf", "machine-id"):
        if os.path.exists("/etc/" + file):
            mounts += ["--ro-bind", "/etc/" + file, "/etc/" + file]
    add("bubblewrap, ch-run's mounts", "bwrap", [*mounts, "--unshare-user", program],
        like="ch-run")
    add("Charliecloud", "/usr/bin/ch-run", [image, "--", program], "accounts, but no home",
        like="ch-run --no-home")
    add("Charliecloud --home", "/usr/bin/ch-run", ["--home", image, "--", program], like="ch-run")
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            place = bundle(runtime, image, program, os.path.join(work, runtime))
            state = os.path.join(work, runtime + ".state")
            groups = ["--cgroup-manager", "disabled"] if runtime == "crun" else []
            add(runtime, runtime, [*groups, "--root", state, "run", "--bundle", place,
                                   "charlie-bench"])
        else:
            missing.append((runtime, "is not installed"))
    store = os.path.join(work, "podman")
    add("podman", "podman",
        ["--root", store, "--runroot", store + ".run", "run", "--rm", "--network=host",
         "--cgroups=disabled", "--log-driver=none", "--rootfs", image, program])
    return found, missing
