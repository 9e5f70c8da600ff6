"""Shared fixtures of the benchmark tests."""

import pytest


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("embeddings"))
