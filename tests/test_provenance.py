"""What is recorded of the code is of this project's code, or nothing is."""

import os
import subprocess

import pytest

from suite.measure import commit
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    """Each test hears what is said once."""
    monkeypatch.setattr(commit, "_installed", commit._installed.__wrapped__)


def git(folder, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_another_projects_commit_is_never_recorded(tmp_path, monkeypatch, capsys):
    """Unpacked inside a repository, or installed into an environment inside of one."""
    inside = tmp_path / "unpacked"
    inside.mkdir()
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("another project's")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "another project's")
    monkeypatch.setattr(commit, "ROOT", inside)
    found = commit.code()
    assert found["commit"] is None and found["dirty"] is None
    assert f"no commit is recorded with what is made here: {inside} is no git checkout" in capsys.readouterr().err
    assert commit.in_words(found | {"version": "1.2"}) == "code outside of a git checkout (version 1.2)"
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    assert commit.code() == {"commit": git(tmp_path, "rev-parse", "HEAD").strip(), "dirty": False}


def test_a_hooks_variables_do_not_name_the_repository(tmp_path, monkeypatch):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    before = commit.code()
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert commit.code() == before


def test_a_checkout_of_another_user_names_the_way_out(monkeypatch, capsys):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # Git's own switch for this case
    monkeypatch.setattr(commit, "_environment", lambda: dict(os.environ))
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    assert commit.code()["commit"] is None
    assert f"another user owns the checkout: git config --global --add safe.directory {ROOT}" in capsys.readouterr().err
