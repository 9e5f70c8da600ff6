"""Exports with a checksum: a changed file is not imported."""

import hashlib
import random

import pytest
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import AnnotationSession

POOL = [[float(k), 1.0] for k in range(12)]


def open_session():
    return AnnotationSession(
        POOL, LogisticRegression(), classes=["a", "b"], background=False, check_share=0
    )


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def exported(request, tmp_path):
    path = tmp_path / f"labels.{request.param}"
    with open_session() as session:
        for k, one in enumerate(session.ask(6)):
            session.answer(one.id, "ab"[k % 2])
        session.export(path, checksum=True)
    return path


def test_checksum_is_that_of_sha256sum_and_a_whole_file_is_read(exported):
    line = exported.with_name(exported.name + ".sha256").read_text()
    assert (
        line
        == f"{hashlib.sha256(exported.read_bytes()).hexdigest()}  {exported.name}\n"
    )
    with open_session() as session:
        session.import_labels(exported)
        assert len(session.export()) == 6


def test_a_changed_file_is_refused_whatever_changed(exported):
    content = exported.read_bytes()
    rng = random.Random(0)
    for _ in range(20):
        spoilt = bytearray(content)
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        exported.write_bytes(rng.choice([bytes(spoilt), content[: len(content) // 2]]))
        with open_session() as session:
            with pytest.raises(ValueError, match="delete that file if you edited"):
                session.import_labels(exported)
            assert session.export().empty


def test_an_export_without_checksum_takes_the_old_one_away(exported):
    with open_session() as session:
        session.export(exported)
        assert not exported.with_name(exported.name + ".sha256").exists()
        session.import_labels(exported)
