"""Scripts: how a text is prepared and run, how failures are told, staging, and `script` as part of workflows."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun import Scheduler, script, task
from redun.file import Dir, File, IFile
from redun.scripting import (
    DEFAULT_SHELL,
    ScriptError,
    exec_script,
    get_command_eof,
    get_task_command,
    get_wrapped_command,
    interpreter,
    prepare_command,
    render_script,
)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


def left_over(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "tmp")


def run(expr: Any, scheduler: Scheduler | None = None, **options: Any) -> Any:
    return (scheduler or Scheduler(logger=False)).run(expr, **options)


# Preparing and running.


def test_a_command_is_dedented_and_gets_a_shell():
    assert prepare_command("\n    echo a\n      echo b\n    ") == f"{DEFAULT_SHELL}\necho a\n  echo b"
    assert prepare_command("\n  #!/bin/cat\n  x\n") == "#!/bin/cat\nx"
    assert prepare_command("echo", default_shell="#!/bin/sh") == "#!/bin/sh\necho"
    prepared = prepare_command("echo a")
    assert prepare_command(prepared) == prepared


def test_standard_output_is_the_result():
    assert exec_script("echo a; echo b >&2; printf '\\377\\0'") == b"a\n\xff\x00"
    assert exec_script("cat") == b""
    assert exec_script("true") == b""
    assert exec_script("echo ä") == "ä\n".encode()


def test_the_first_line_names_the_interpreter():
    assert exec_script("#!/usr/bin/env python3\nprint('from python')") == b"from python\n"
    assert exec_script("#!/bin/cat\nbody").endswith(b"body\n")
    assert interpreter("#! /usr/bin/env  -S python3 -u\nx") == ["/usr/bin/env", "-S python3 -u"]


@pytest.mark.parametrize(
    "command", ["false; echo on", "false | cat; echo on", "echo x | false | cat\necho on", "(exit 3)\necho on"]
)
def test_the_first_failure_ends_the_script_in_pipes_too(command: str):
    with pytest.raises(ScriptError):
        exec_script(f"{command} > went-on")
    assert not os.path.exists("went-on")


def test_where_there_is_no_bash_the_shell_does_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    for name in ("sh", "cat", "mktemp", "rm", "env"):
        found = next(f"{folder}/{name}" for folder in ("/bin", "/usr/bin") if os.path.exists(f"{folder}/{name}"))
        (tmp_path / "bin" / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert exec_script("echo a") == b"a\n"
    assert exec_script(f"{DEFAULT_SHELL}\n{get_wrapped_command(prepare_command('echo wrapped'))}") == b"wrapped\n"
    with pytest.raises(ScriptError):
        exec_script("false\necho on")


def test_a_failure_tells_status_and_the_end_of_standard_error():
    with pytest.raises(ScriptError) as caught:
        exec_script("echo out; echo reason >&2; exit 7")
    error = caught.value
    assert error.status == 7
    assert b"reason\n" in error.stderr
    assert str(error).startswith("script failed with exit status 7; standard error:\n")
    assert "\n  reason\n" in str(error)
    many = ScriptError("\n".join(map(str, range(1000))).encode(), 1)
    assert many.message.startswith("0\n1\n")
    assert "\n  999" in str(many)
    assert "\n  989" not in str(many)
    assert str(ScriptError(b"", 1)) == "script failed with exit status 1; its standard error is empty"
    assert "unreadable" in str(ScriptError(b"\xff\xfeunreadable"))


def test_signals_are_named():
    with pytest.raises(ScriptError, match="ended by signal SIGKILL"):
        exec_script("kill -9 $$")
    with pytest.raises(ScriptError, match=r"status 143 \(a command was ended by signal SIGTERM\)"):
        exec_script("sh -c 'kill -TERM $$'")
    assert "exit status 255;" in str(ScriptError(b"x", 255))


def test_a_missing_interpreter_is_a_script_error():
    with pytest.raises(ScriptError, match="/no/such/program: No such file"):
        exec_script("#!/no/such/program\nx")
    with pytest.raises(ScriptError, match="no-such-program"):
        exec_script("#!/usr/bin/env no-such-program\nx")
    with pytest.raises(ScriptError):
        exec_script("#!\nx")


def test_errors_survive_pickle():
    again = pickle.loads(pickle.dumps(ScriptError(b"reason", -9)))
    assert (again.stderr, again.status, str(again)) == (b"reason", -9, str(ScriptError(b"reason", -9)))


def test_nothing_is_left_behind(tmp_path: Path):
    exec_script("echo")
    exec_script(get_wrapped_command("#!/bin/sh\necho"))
    with pytest.raises(ScriptError):
        exec_script(get_wrapped_command("#!/bin/sh\nexit 3"))
    assert left_over(tmp_path) == []


def test_large_output_and_background_processes():
    assert len(exec_script("head -c 20000000 /dev/zero")) == 20_000_000
    with pytest.raises(ScriptError) as caught:
        exec_script("head -c 5000000 /dev/zero >&2; echo end >&2; false")
    assert len(caught.value.stderr) <= 1 << 20
    # Would block for half a minute if the background process's output were waited for.
    assert exec_script("sleep 30 & echo $!").strip().isdigit()


# Wrapping.


def test_a_wrapped_command_runs_under_its_own_interpreter():
    text = get_wrapped_command("#!/usr/bin/env python3\nprint('$HOME `x` \\\\')\nEOF = 1")
    assert subprocess.run(["sh", "-ec", text], capture_output=True, check=True).stdout == b"$HOME `x` \\\n"
    assert subprocess.run(["sh", "-ec", get_wrapped_command("#!/bin/sh\nexit 4")], check=False).returncode == 4


def test_the_end_mark_does_not_occur_in_the_command():
    assert get_command_eof("x") == "EOF"
    assert get_command_eof("EOF\nEOF1") == "EOF2"
    assert get_command_eof("END", eof_prefix="END") == "END1"


@given(st.text(alphabet="EOF12\n $`'\"\\x", max_size=60))
def test_any_text_survives_wrapping(text: str):
    wrapped = get_wrapped_command(f"#!/bin/cat\n{text}")
    done = subprocess.run(["sh", "-ec", wrapped], capture_output=True, check=True)
    assert done.stdout == f"#!/bin/cat\n{text}\n".encode()


# Script tasks.


@task(namespace="tests.scripting", script=True)
def greet(name: str, loud: bool = False) -> Any:
    return f"""
        echo hello {name}
        """


@task(namespace="tests.scripting", script=True)
def words(*parts: str) -> Any:
    return ["printf", "%s,", *parts]


@task(namespace="tests.scripting", script=True)
def wrong() -> Any:
    return 3


def test_a_script_task_gives_its_output():
    assert get_task_command(greet, ("you",), {"loud": True}) == f"{DEFAULT_SHELL}\necho hello you"
    assert run(greet("you")) == b"hello you\n"
    assert run(words("a b", "$HOME", "it's")) == b"a b,$HOME,it's,"
    with pytest.raises(TypeError, match=r"'tests.scripting.wrong'.*found int"):
        get_task_command(wrong, (), {})


# script().


def count(path: str = "runs") -> int:
    return len(Path(path).read_text().splitlines()) if os.path.exists(path) else 0


def test_script_gives_standard_output():
    assert run(script("echo hi")) == b"hi\n"
    assert run(script(["echo", "a b", "$HOME", Path("c d")])) == b"a b $HOME c d\n"
    with pytest.raises(ScriptError, match="reason"):
        run(script("echo reason >&2; false"))
    with pytest.raises(TypeError, match="command"):
        script(3)  # type: ignore[arg-type]


def test_the_result_has_the_shape_of_the_outputs():
    result = run(
        script(
            "echo 1 > one; mkdir -p many; echo 2 > many/two; echo out",
            outputs={"file": File("one"), "all": [Dir("many"), File("-")], "same": (1, "x", None), "ifile": IFile("one")},
        )
    )
    assert result["file"].read() == "1\n"
    assert result["file"].is_valid()
    assert [file.path for file in result["all"][0]] == ["many/two"]
    assert result["all"][1] == b"out\n"
    assert result["same"] == (1, "x", None)
    assert type(result["ifile"]) is IFile
    assert run(script("echo", outputs=None)) is None
    assert run(script("echo", outputs=[])) == []


def test_files_are_staged_in_and_out():
    Path("a.txt").write_text("content\n")
    os.mkdir("made")
    result = run(
        script(
            "tr a-z A-Z < in.txt > made/out.txt; cat in.txt",
            inputs=[{"x": File("a.txt").stage("in.txt")}, Dir("made").stage("made")],
            outputs=[File("results/deep/b.txt").stage("made/out.txt"), File("-")],
        )
    )
    assert result[0].path == "results/deep/b.txt"
    assert result[0].read() == "CONTENT\n"
    assert result[1] == b"content\n"


@pytest.mark.parametrize("tempdir", [False, True])
def test_files_may_be_standard_input_and_output(tempdir: bool):
    Path("in .txt").write_text("content\n")
    scheduler = Scheduler(logger=False)

    def call() -> Any:
        return script(
            "tr a-z A-Z; echo errors >&2",
            inputs=File("in .txt").stage("-"),
            outputs=[File("res ults/out.txt").stage("-"), 1],
            tempdir=tempdir,
        )

    for _ in range(2):
        found = run(call(), scheduler)
        assert found[0].path == "res ults/out.txt"
        assert found[0].is_valid()
        assert found[0].read() == "CONTENT\n"
    Path("in .txt").write_text("more\n")
    assert run(call(), scheduler)[0].read() == "MORE\n"
    os.remove("res ults/out.txt")
    assert run(call(), scheduler)[0].read() == "MORE\n"
    both = script("cat", inputs=File("in .txt").stage("-"), outputs=[File("a").stage("-"), File("-"), File("b").stage("-")])
    found = run(both, scheduler)
    assert [found[0].read(), found[1], found[2].read()] == ["more\n", b"more\n", "more\n"]
    two = run(script("echo x", outputs=[File("c").stage("-"), File("d").stage("-")]), scheduler)
    assert [file.read() for file in two] == ["x\n", "x\n"]
    # Of another file system.
    File("memory://script/in").write("far\n")
    with pytest.raises(ScriptError):
        run(script("cat; exit 3", inputs=File("in .txt").stage("-"), outputs=File("never").stage("-")), scheduler)


def test_files_that_cannot_be_streams_are_refused():
    with pytest.raises(ValueError, match="folder 'd' cannot be standard input"):
        run(script("cat", inputs=Dir("d").stage("-")))
    with pytest.raises(ValueError, match="only one file can be standard input of a script, found 'a', 'b'"):
        run(script("cat", inputs=[File("a").stage("-"), File("b").stage("-")]))
    with pytest.raises(ValueError, match="'s3://b/k' cannot go anywhere else"):
        run(script("cat", outputs=[File("s3://b/k").stage("-"), File("-")]))


def test_streams_of_other_file_systems_are_piped():
    text = render_script("cat", [File("s3://b/in").stage("-")], [File("http://h/out").stage("-")])
    assert "\naws s3 cp --no-progress s3://b/in - | (\n" in text
    assert text.endswith("\n) | redun fs cp - http://h/out >&2")


def test_a_temporary_folder_is_entered_and_removed(tmp_path: Path):
    Path("a b.txt").write_text("content\n")
    os.makedirs("folder/sub")
    Path("folder/sub/x").write_text("x")
    command = script(
        "pwd; cat in/a.txt d/sub/x > out.txt; echo kept > kept.txt; mkdir -p made/deep; echo y > made/deep/y",
        inputs=[File("a b.txt").stage("in/a.txt"), Dir("folder").stage("d")],
        outputs={
            "staged": File("res/b c.txt").stage("out.txt"),
            "plain": File("kept.txt"),
            "folder": Dir("copied").stage("made"),
            "absolute": File(os.path.abspath("abs/out.txt")).stage("out.txt"),
            "stdout": File("-"),
        },
        tempdir=True,
    )
    scheduler = Scheduler(logger=False)
    for _ in range(2):
        result = run(command, scheduler)
        assert result["staged"].read() == result["absolute"].read() == "content\nx"
        # Not staged out, so it went with the folder.
        assert not result["plain"].exists()
        assert [file.path for file in result["folder"]] == ["copied/deep/y"]
        assert result["stdout"].startswith(str(tmp_path / "tmp").encode())
        assert sorted(os.listdir(".")) == ["a b.txt", "abs", "copied", "folder", "res"]
        os.remove("res/b c.txt")
    assert left_over(tmp_path) == []
    with pytest.raises(ScriptError):
        run(script("false", tempdir=True))
    assert left_over(tmp_path) == []


def test_a_missing_input_or_output_fails_with_its_name():
    with pytest.raises(ScriptError, match=r"no-such\.txt"):
        run(script("true", inputs=File("no-such.txt").stage("x")))
    with pytest.raises(ScriptError, match=r"never-made\.txt"):
        run(script("true", outputs=File("x").stage("never-made.txt")))


def test_what_the_result_depends_on_makes_it_run_again():
    Path("a.txt").write_text("1")

    def call(text: str = "cat in.txt > out.txt; echo >> runs") -> Any:
        return script(text, inputs=File("a.txt").stage("in.txt"), outputs=File("out.txt"))

    scheduler = Scheduler(logger=False)
    for _ in range(3):
        run(call(), scheduler)
    assert count() == 1
    Path("a.txt").write_text("22")
    assert run(call(), scheduler).read() == "22"
    assert count() == 2
    os.remove("out.txt")
    assert run(call(), scheduler).read() == "22"
    assert count() == 3
    Path("out.txt").write_text("changed by somebody")
    assert run(call(), scheduler).read() == "22"
    assert count() == 4
    run(call("cat in.txt > out.txt; echo more >> runs"), scheduler)
    run(call("cat in.txt > out.txt; echo more >> runs"), scheduler)
    assert count() == 5


def test_inputs_count_by_state_although_staged_pairs_count_by_path():
    @task(namespace="tests.scripting")
    def make(text: str) -> File:
        file = File("made.txt")
        file.write(text)
        return file

    @task(namespace="tests.scripting")
    def use(file: File) -> Any:
        return script("cat in.txt; echo >> runs", inputs=file.stage("in.txt"))

    scheduler = Scheduler(logger=False)
    for text in ("a", "bb", "bb"):
        assert run(use(make(text)), scheduler) == text.encode()
    assert count() == 2


def test_expressions_may_stand_anywhere_in_a_call():
    @task(namespace="tests.scripting")
    def make_file(text: str) -> File:
        file = File("lazy.txt")
        file.write(text)
        return file

    @task(namespace="tests.scripting")
    def path_of(name: str) -> str:
        return f"{name}.out"

    scheduler = Scheduler(logger=False)
    for text in ("a", "bb", "bb"):
        made = make_file(text)
        result = run(
            script(
                ["sh", "-c", "cat in.txt; echo >> runs; echo x > x.out", path_of("unused")],
                inputs=[made.stage("in.txt")],
                outputs=[File("-"), path_of("x")],
            ),
            scheduler,
        )
        assert result == [text.encode(), "x.out"]
    assert count() == 2


def test_equal_scripts_with_other_inputs_do_not_share_a_result():
    @task(namespace="tests.scripting")
    def rewrite(text: str, after: Any = None) -> bytes:
        Path("shared.txt").write_text(text)
        return text.encode()

    @task(namespace="tests.scripting", cache=False)
    def read(after: Any) -> Any:
        return script("cat in.txt", inputs=File("shared.txt").stage("in.txt"))

    @task(namespace="tests.scripting", cache=False)
    def both() -> Any:
        first = read(rewrite("a"))
        return [first, read(rewrite("bb", after=first))]

    assert run(both()) == [b"a", b"bb"]


def test_two_scripts_that_write_one_file_each_see_their_own():
    @task(namespace="tests.scripting", cache=False)
    def write(text: str, after: Any = None) -> Any:
        return script(f"echo {text} > same.txt", outputs=File("same.txt"))

    @task(namespace="tests.scripting", cache=False)
    def twice() -> Any:
        first = write("a")
        return [first, write("longer", after=first)]

    first, second = run(twice())
    assert first.hash != second.hash
    assert second.is_valid()


def test_options_of_the_cache_belong_to_the_script_others_to_where_it_runs():
    scheduler = Scheduler(logger=False)
    for _ in range(2):
        run(script("echo >> runs", cache=False), scheduler)
    assert count() == 2
    assert run(script("echo 1", memory=4, limits=["x"])) == b"1\n"


def test_quotes_and_odd_names_survive_staging():
    for name in ("it's", "a b", "-dash", "$HOME", "ü", "semi;colon"):
        Path(name).write_text(name)
        for tempdir in (False, True):
            result = run(
                script(
                    "cat in > out",
                    inputs=File(name).stage("in"),
                    outputs=File(f"new/{name}").stage("out"),
                    tempdir=tempdir,
                )
            )
            assert result.read() == name
            result.remove()


def test_what_copying_programs_say_stays_out_of_the_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "aws").write_text('#!/bin/sh\necho "download: $4"\necho content > "$5"\n')
    (programs / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert exec_script_of(script("cat in", inputs=IFile("s3://bucket/key").stage("in"))) == b"content\n"


def exec_script_of(call: Any) -> bytes:
    return exec_script(call.args[0])


def test_a_missing_unstaged_output_of_a_temporary_folder_is_cached_as_such():
    scheduler = Scheduler(logger=False)
    call = script(f"echo x >> {os.getcwd()}/ran; echo y > out.txt", outputs=File("out.txt"), tempdir=True)
    for _ in range(2):
        assert not run(call, scheduler).exists()
    assert Path("ran").read_text() == "x\n"
    # A file of that name in the working folder is another one; the script did not make it.
    Path("out.txt").write_text("mine")
    run(call, scheduler)
    assert Path("out.txt").read_text() == "mine"


def test_dataflow_goes_from_a_script_to_its_inputs():
    from redun.provenance import Provenance

    @task(name="make_input", namespace="t")
    def make_input(path: str) -> File:
        file = File(path)
        file.write("content")
        return file

    @task(name="given", namespace="t")
    def given(file: File) -> File:
        return script("cat in > out", inputs=[file.stage("in")], outputs=File("a.txt").stage("out"))

    @task(name="lazily", namespace="t")
    def lazily(path: str) -> File:
        return script("cat in > out", inputs=[make_input(path).stage("in")], outputs=File("b.txt").stage("out"))

    scheduler = Scheduler(logger=False)
    run([given(make_input("one")), lazily("two")], scheduler)
    for _ in range(2):
        provenance = Provenance(scheduler.store)
        for output, source in (("a.txt", "one"), ("b.txt", "two")):
            [use] = provenance.file(output)
            tasks = [hop.task_name for section in provenance.dataflow(use.value) for hop in section.hops if hop.task_name]
            assert "redun.script" in tasks
            assert "t.make_input" in tasks
            assert f"'{source}'" in [provenance.text(value) for value in provenance.upstream(use.value)]
            assert any(f"path={source}," in provenance.text(value) for value in provenance.upstream(use.value))
        run([given(make_input("one")), lazily("two")], scheduler)
