# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stages of tools/check, and their sum."""

import argparse
import glob
import os
import shutil
import signal
import sys
import threading
import time

import command
import results
from results import Results

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDS = os.path.join(TOP, "build-check")
LOGS = os.path.join(BUILDS, "logs")
PYTHON = "/usr/bin/python3"

SANITIZE = ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
# Name of a build -> (environment, meson options).
FLAVOURS = {
    "debug": ({}, ["-Dbuildtype=debug"]),
    "release": ({}, ["-Dbuildtype=release"]),
    "clang": ({"CC": "clang"}, ["-Dbuildtype=release"]),
    "sanitized": ({}, SANITIZE),
    "fuzz": ({"CC": "clang"}, ["-Dfuzz=true", *SANITIZE]),
}
building = {flavour: threading.Lock() for flavour in FLAVOURS}
reporting = threading.Lock()


class Broken(Exception):
    """A stage that could not do what it is for."""


class Missing(Exception):
    """Something that this machine lacks: the stage is skipped, and says what."""


class Stage:
    """What a stage's function works with: its log, and ways to build, run and count."""

    def __init__(self, name):
        self.name = name
        self.log = os.path.join(LOGS, name + ".log")
        self.figures = os.path.join(LOGS, name + ".figures")  # what tests measured, in words
        open(self.log, "wb").close()

    def run(self, argv, deadline, env=None):
        return command.run(argv, self.log, deadline, env, cwd=TOP)

    def must(self, argv, deadline, env=None):
        status = self.run(argv, deadline, env)
        if status != 0:
            raise Broken(f"{argv[0]} {argv[1] if len(argv) > 1 else ''}: {status}")

    def build(self, flavour):
        """Builds it (again, where it is there already) and returns its directory."""
        env, options = FLAVOURS[flavour]
        folder = os.path.join(BUILDS, flavour)
        with building[flavour]:
            if not os.path.exists(os.path.join(folder, "build.ninja")):
                shutil.rmtree(folder, ignore_errors=True)
                self.must(["meson", "setup", folder, TOP, *options], 300, env)
            self.must(["ninja", "-C", folder], 1800, env)
        return folder

    def meson(self, flavour, *suites, env=None):
        folder = self.build(flavour)
        log = os.path.join(folder, "meson-logs", "testlog.json")
        if os.path.exists(log):
            os.unlink(log)
        argv = ["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs"]
        if flavour == "sanitized":
            argv.append("--timeout-multiplier=5")
        for suite in suites:
            argv += ["--suite", suite]
        status = self.run(argv, 1800, env)
        if not os.path.exists(log):
            raise Broken(f"meson test: {status}, and no results")
        counted, said = results.from_meson(log)
        with open(self.log, "a") as out:
            out.write(said)
        if status != 0 and not counted.failed:
            counted.failed.append(f"meson test: {status}")
        return counted

    def pytest(self, *paths, env=None, deadline=1800, marker=""):
        for path in paths:
            if not os.path.exists(os.path.join(TOP, path)):
                raise Broken(f"{path} is not there")
        junit = os.path.join(LOGS, f"{self.name}{marker}.xml")
        for old in (junit, self.figures):
            if os.path.exists(old):
                os.unlink(old)
        env = {"PORTRESERVED_FIGURES": self.figures, **(env or {})}
        argv = [PYTHON, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", f"--junitxml={junit}", *paths]
        status = self.run(argv, deadline, env)
        if not os.path.exists(junit):
            raise Broken(f"pytest {' '.join(paths)}: {status}, and no results")
        counted = results.from_junit(junit)
        if status != 0 and not counted.failed:
            counted.failed.append(f"pytest: {status}")
        return counted


def built(flavour):
    one = Results()
    one.passed.append(f"{flavour} build without a warning")
    return one


def need_namespaces(stage):
    if stage.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], 30) != 0:
        raise Missing("network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN)")


def lint(stage):
    return stage.pytest("tests/tools").add(stage.meson("debug", "lint", "units"))


def unit(stage):
    return stage.meson("debug", "unit", "fuzz")


def kernel(stage):
    need_namespaces(stage)
    return stage.meson("debug", "kernel")


def release(stage):
    return stage.meson("release", "unit").add(built("release"))


def clang(stage):
    return stage.meson("clang", "unit").add(built("clang"))


def netns(stage):
    need_namespaces(stage)
    return stage.pytest("tests/netns", env={"PORTRESERVED_BUILD": stage.build("debug")})


def netns_user(stage):
    need_namespaces(stage)
    env = {"PORTRESERVED_BUILD": stage.build("debug"), "PORTRESERVED_USER": "nobody"}
    return stage.pytest("tests/netns", env=env)


def sanitized(stage):
    """Reports go to files: a test that does not look at a program's standard error must not hide one."""
    need_namespaces(stage)
    reports = os.path.join(LOGS, "report")
    for old in glob.glob(reports + ".*"):
        os.unlink(old)
    env = {
        "ASAN_OPTIONS": f"log_path={reports}:strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": f"log_path={reports}:print_stacktrace=1:halt_on_error=1",
        "LSAN_OPTIONS": f"log_path={reports}",
    }
    counted = stage.meson("sanitized", "unit", "fuzz", "kernel", env=env)
    env["PORTRESERVED_BUILD"] = stage.build("sanitized")
    counted.add(stage.pytest("tests/netns", env=env, deadline=2400))
    found = glob.glob(reports + ".*")
    for path in found:
        counted.failed.append(f"sanitizer report {os.path.relpath(path, TOP)}")
        with open(stage.log, "ab") as out, open(path, "rb") as report:
            out.write(report.read())
    if not found:
        counted.passed.append("no sanitizer report")
    return counted


def fuzz(stage):
    """Each target through libFuzzer: its corpus, then a short run from there."""
    folder = stage.build("fuzz")
    targets = [p for p in glob.glob(os.path.join(folder, "tests/fuzz/fuzz-*")) if os.path.isfile(p)]
    counted = Results()
    for target in sorted(targets):
        name = os.path.basename(target)
        corpus = os.path.join(TOP, "tests/fuzz/corpus", name[len("fuzz-"):])
        scratch = os.path.join(folder, name + ".new")
        shutil.rmtree(scratch, ignore_errors=True)
        os.mkdir(scratch)
        argv = [target, "-runs=20000", "-max_total_time=20", "-seed=1", f"-artifact_prefix={LOGS}/", scratch, corpus]
        status = stage.run(argv, 300)
        if status == 0:
            counted.passed.append(name)
        else:
            counted.failed.append(f"{name}: {status}")
    return counted


def install(stage):
    return stage.pytest("tests/install", env={"PORTRESERVED_BUILD": stage.build("debug")})


def need_container(stage):
    status = stage.run([PYTHON, "-B", "tools/py/probe_container.py"], 600)
    if status == 77:
        raise Missing(command.tail(stage.log, 1))
    if status != 0:
        raise Broken("no container boots here")


def demo(stage):
    """It checks what it tells."""
    need_container(stage)
    stage.must(["tools/demo"], 900, {"DEMO_PAUSE": "0"})
    counted = Results()
    counted.passed = [line.strip("= ") for line in command.tail(stage.log).splitlines() if line.startswith("=== Part")]
    return counted


def container(stage, suite):
    need_container(stage)
    env = {"PORTRESERVED_BUILD": stage.build("debug"), "PORTRESERVED_SUITE": suite}
    return stage.pytest("tests/container", env=env, deadline=2400).named(suite)


def bookworm(stage):
    return container(stage, "bookworm")


def trixie(stage):
    return container(stage, "trixie")


def bench(stage):
    """What portreserved costs is shown, and judged by whoever reads it: no machine's clock makes a test fail."""
    need_container(stage)
    folder = stage.build("release")
    log = os.path.join(folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    argv = ["meson", "test", "-C", folder, "--no-rebuild", "--benchmark", "--verbose", "start", "exec", "watch"]
    status = stage.run(argv, 900, {"PORTRESERVED_TIMES": "30", "PORTRESERVED_IDLE_SEC": "10"})
    if not os.path.exists(log):
        raise Broken(f"meson test: {status}, and no results")
    counted, _ = results.from_meson(log)
    with open(stage.figures, "w") as out:
        out.writelines(line + "\n" for line in command.tail(stage.log, None).splitlines() if " ms" in line or " of a CPU" in line or "left out" in line)
    if status != 0 and not counted.failed:
        counted.failed.append(f"meson test: {status}")
    return counted


def qemu(stage):
    folder = stage.build("debug")
    status = stage.run(["tests/qemu/run", folder], 1200)
    counted = results.from_tap(command.tail(stage.log, None), "qemu") or Results()
    if status != 0 and not counted.failed:
        counted.failed.append(f"tests/qemu/run: {status}")
    return counted


# The second column: 0 one after another, before all others; then 1 and 2 side by side, since each keeps about one core busy.
STAGES = [
    (lint, 0, "layers, licences, formatting; unit files and their exposure; these tools"),
    (unit, 0, "gcc debug build; unit tests and fuzz corpora"),
    (kernel, 0, "tests against the running kernel"),
    (netns, 0, "the real programs in network namespaces, as root"),
    (release, 0, "gcc release build, unit tests"),
    (clang, 0, "clang release build, unit tests"),
    (install, 0, "what meson installs"),
    (netns_user, 1, "in network namespaces, the daemon as a plain user with its three capabilities"),
    (sanitized, 1, "AddressSanitizer and UBSan: unit, corpora, kernel, namespaces"),
    (fuzz, 1, "libFuzzer from the corpora, some seconds a target"),
    (qemu, 1, "the kernel tests and the daemon under Debian's own kernel"),
    (bench, 1, "what a start, a hand-over and watching 200,000 sockets cost, beside what they cost without us"),
    (demo, 1, "tools/demo without its pauses"),
    (bookworm, 2, "a booted Debian 12 (systemd 252) with real servers, and storms"),
    (trixie, 2, "the same under Debian 13 (systemd 257)"),
]
# Left out by --quick.
LONG = (sanitized, fuzz, qemu, bench, demo, bookworm, trixie)


def positive(word):
    number = int(word)
    if number < 1:
        raise ValueError
    return number


def arguments():
    names = "".join(f"\n  {f.__name__:12}{words}" for f, _, words in STAGES)
    parser = argparse.ArgumentParser(
        prog="tools/check",
        description="Builds and runs every test; the last line is 'N passed, N failed'. Builds and logs: build-check/.",
        epilog="stages:" + names,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="without sanitizers, fuzzing, qemu and containers")
    parser.add_argument("--storm", metavar="N", type=positive, help="starts, stops and kills in a storm, instead of 300")
    parser.add_argument("--only", action="append", metavar="STAGE", default=[], help="only this stage (may be repeated)")
    args = parser.parse_args()
    known = [f.__name__ for f, _, _ in STAGES]
    for name in args.only:
        if name not in known:
            parser.error(f"no stage '{name}'; there are: {', '.join(known)}")
    return args


def run_stage(function):
    stage = Stage(function.__name__)
    began = time.monotonic()
    try:
        counted = function(stage)
        if not counted.count():
            counted.failed.append("no test ran")
    except Missing as e:
        counted = Results()
        counted.skipped.append((stage.name, f"missing here: {e}"))
    except Exception as e:  # Whatever it is: a stage that died is a failure, never none.
        counted = Results()
        counted.failed.append(f"{type(e).__name__}: {e}" if not isinstance(e, Broken) else str(e))
    with reporting:
        report(stage, counted, time.monotonic() - began)
    return counted


def run_lane(stages, counts):
    for function in stages:
        counts.append(run_stage(function))


def report(stage, counted, seconds):
    words = f"{len(counted.passed)} passed"
    if counted.failed:
        words += f", {len(counted.failed)} FAILED"
    if counted.skipped:
        words += f", {len(counted.skipped)} skipped"
    print(f"{stage.name:12}{words:44}{seconds:7.1f} s", flush=True)
    if os.path.exists(stage.figures):
        print("    " + command.tail(stage.figures).replace("\n", "\n    "))
    reasons = {}
    for name, why in counted.skipped:
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        print(f"    skipped: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {why}")
    for name in counted.failed[:40]:
        print(f"    FAILED: {name}")
    if counted.failed:
        print("    " + command.tail(stage.log, 40).replace("\n", "\n    "))
        print(f"    the whole log: {stage.log}", flush=True)


def main():
    args = arguments()
    # An exception instead of a sudden end, so that command.run() ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    os.makedirs(LOGS, exist_ok=True)
    if args.storm:
        os.environ["PORTRESERVED_STORM"] = str(args.storm)
    lanes = [[], [], []]
    for function, lane, _ in STAGES:
        if function.__name__ in args.only if args.only else not (args.quick and function in LONG):
            lanes[lane].append(function)
    counts = []
    try:
        run_lane(lanes[0], counts)
        threads = [threading.Thread(target=run_lane, args=(stages, counts)) for stages in lanes[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        command.end_all()
        raise
    total = Results()
    for counted in counts:
        total.add(counted)
    if len(counts) != sum(map(len, lanes)):
        total.failed.append("a stage ended without a result")
        print("FAILED: a stage ended without a result")
    skipped = f", {len(total.skipped)} skipped" if total.skipped else ""
    print(f"{len(total.passed)} passed, {len(total.failed)} failed{skipped}", flush=True)
    sys.exit(1 if total.failed else 0)


main()
