# SPDX-License-Identifier: Apache-2.0
"""Who is measured: each launcher's command for the same program in the same image, with
the mounts that come closest to what the others make. Those that do not run here are left
out, and it is said why."""

import json
import os
import shutil
import subprocess


class Launcher:
    def __init__(self, name, command, version="", note=""):
        self.name, self.command, self.version, self.note = name, command, version, note


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip().split("\n")[0]


def bundle(runtime, image, program, folder):
    """An OCI bundle as the runtime itself suggests it to ordinary users."""
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
    """[Launcher], and [(name, why not)]. `program` is a path in the image and, without libc,
    runs outside as well. `work` is a folder for what they need."""
    outside = image + program
    found = [Launcher("bare exec", [outside], note="the program itself, no container"),
             Launcher("ch-run", [ch_run, image, "--", program], first_line(ch_run, "--version"))]
    found.append(Launcher("ch-run, peers' mounts",
                          [ch_run, "--no-home", "--no-passwd", image, "--", program],
                          note="--no-home --no-passwd, which the peers don't do unasked"))
    missing = []

    def add(name, tool, command, note="", version=()):
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
        found.append(Launcher(name, words, first_line(path, *(version or ["--version"])), note))

    add("unshare -Urm", "unshare", ["-Urm", outside], "namespaces only: no image, no mounts")
    add("bubblewrap", "bwrap",
        ["--ro-bind", image, "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc",
         "--bind", "/sys", "/sys", "--bind", "/tmp", "/tmp", "--unshare-user", program])
    add("Charliecloud", "/usr/bin/ch-run", [image, "--", program])
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
