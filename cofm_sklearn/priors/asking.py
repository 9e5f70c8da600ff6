"""Concurrent requests to a chat endpoint, with retries and counts."""

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cofm_sklearn.utils import import_optional

__all__ = ["Endpoint", "Reply", "ask_all", "check_base_url", "read_key"]

_NO_KEY = "none"  # the client requires one
_LONGEST_PAUSE_S = 8.0
# The client's errors count its retries only here.
_RETRIES_HEADER = "x-stainless-retry-count"


@dataclass(frozen=True)
class Reply:
    """The result of one request.

    Attributes
    ----------
    n_requests, n_tokens : int
        Requests and tokens used, including retries and failures; those of an answer are
        estimated if the server does not count them.

    outcome : {"answered", "refused", "failed", "unreachable", "forbidden"}
        Whether the server answered, rejected this request, could not complete it,
        could not be reached in time, or accepts no request at all.

    choice : openai.types.chat.chat_completion.Choice or None
        The answer, if there is one.

    words, cure : str
        What happened, and what to do, if there is none.
    """

    n_requests: int
    n_tokens: int
    outcome: str
    choice: Any = None
    words: str = ""
    cure: str = ""


def check_base_url(base_url):
    """Raise a ValueError unless this is None or a URL without a key."""
    if base_url is None:
        return
    parts = urlsplit(base_url) if isinstance(base_url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            "base_url must be a URL such as "
            f'"http://localhost:8000/v1", or None; got {type(base_url).__name__}.'
        )
    if "@" in parts.netloc or parts.query:
        # The URL is not shown, since the traceback would expose it.
        raise ValueError(
            "base_url must not contain a password or a query, as it is part of repr "
            "and pickle. Put the key into an environment variable, and name that in "
            "api_key_env."
        )


def read_key(api_key_env, base_url):
    """Return the key in an environment variable.

    OPENAI_API_KEY is sent to other servers only if `api_key_env` names it.

    Raises
    ------
    ValueError
        If the variable is not set, or holds what no header of a request may hold.
    """
    if api_key_env is None and base_url is not None:
        return _NO_KEY
    name = api_key_env or "OPENAI_API_KEY"
    key = os.environ.get(name, "").strip()
    if not key:
        raise ValueError(
            f"The environment variable {name} is not set. It must contain the key of "
            "the server; api_key_env can name another variable."
        )
    if not (key.isascii() and key.isprintable()):
        raise ValueError(
            f"The environment variable {name} contains a character that no key has, "
            "such as a line break or a typographic dash. Set it again."
        )
    return key


class Endpoint:
    """Context manager of a chat endpoint.

    Parameters
    ----------
    base_url : str or None
        URL of the server; None is OpenAI.

    key : str
        API key; never shown in errors.

    timeout : float
        Seconds per attempt.

    max_retries : int
        Maximal number of retries of a request.
    """

    def __init__(self, base_url, key, timeout, max_retries):
        self._library = import_optional("openai", needed_by="LanguageModelPrior")
        self._key = key
        self._max_retries = max_retries
        self._client = self._library.OpenAI(
            base_url=base_url, api_key=key, timeout=timeout, max_retries=max_retries
        )
        self._knows_logprobs = True

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._client.close()

    def send(self, body, logprobs=0):
        """Send a request, and retry until the answer is complete.

        Parameters
        ----------
        body : dict
            Arguments of the request.

        logprobs : int, default=0
            How many tokens to list at each position; if the server responds with an
            error, the request is sent without it.

        Returns
        -------
        Reply
        """
        if logprobs and self._knows_logprobs:
            more = {"logprobs": True, "top_logprobs": logprobs}
            reply = self._send({**body, **more})
            # OpenAI forbids them for some models, with status 403.
            if reply.outcome not in ("refused", "failed") and (
                "logprob" not in reply.words
            ):
                return reply
            without = self._send(body)
            if without.choice is not None:
                self._knows_logprobs = False
            return replace(
                without,
                n_requests=reply.n_requests + without.n_requests,
                n_tokens=reply.n_tokens + without.n_tokens,
            )
        return self._send(body)

    def _send(self, body):
        n_requests = n_tokens = 0
        for attempt in range(self._max_retries + 1):
            if attempt:
                time.sleep(min(0.5 * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
            try:
                raw = self._client.chat.completions.with_raw_response.create(**body)
            except self._library.OpenAIError as error:
                n_requests += 1 + _n_retries(error)
                outcome = _outcome(error)
                words = f"{type(error).__name__}: {self._hide_key(error)}"
                cure = self._cure(error)
                return Reply(n_requests, n_tokens, outcome, words=words, cure=cure)
            n_requests += 1 + raw.retries_taken
            choice, n_used = self._parse(raw, body)
            n_tokens += n_used
            if choice is not None:
                return Reply(n_requests, n_tokens, "answered", choice)
        words = (
            f"no complete answer in {n_requests} attempts; the last one begins with "
            f"{self._hide_key(raw.text[:80])!r}"
        )
        cure = "Check base_url, and call again to continue."
        return Reply(n_requests, n_tokens, "failed", words=words, cure=cure)

    def _parse(self, raw, body):
        """Return the choice, None if incomplete, and the number of tokens."""
        completion = None
        try:
            completion = raw.parse()
            choice = completion.choices[0]
            choice.message.content  # noqa: B018 - what `Questionnaire.read` needs
        except (
            *(ValueError, TypeError, AttributeError, LookupError),
            self._library.APIResponseValidationError,
        ):
            choice = None
        used = getattr(getattr(completion, "usage", None), "total_tokens", None)
        if isinstance(used, int):
            return choice, used
        return choice, 0 if choice is None else len(str(body["messages"])) // 4

    def _cure(self, error):
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return "Check the key in the environment variable that api_key_env names."
        if status == 404:
            return "Check base_url, which often ends in /v1, and the name of the model."
        if isinstance(error, self._library.APITimeoutError):
            return "Raise timeout or max_retries, or lower n_concurrent."
        if _outcome(error) == "refused":
            return (
                "If it does not know an argument, remove it with options={name: None}."
            )
        return "Check that the server is running, and call again to continue."

    def _hide_key(self, words):
        words = str(words)
        return words if self._key == _NO_KEY else words.replace(self._key, "***")


def _outcome(error):
    status = getattr(error, "status_code", None)
    if status in (400, 413, 422):
        return "refused"
    if status in (401, 403, 404):
        return "forbidden"
    # Proxies in front of a server that is down respond with 502, 503 or 504.
    if status is None or status < 500 or status in (502, 503, 504):
        return "unreachable"
    return "failed"


def _n_retries(error):
    """Return how often the client had repeated a request when it gave up."""
    request = getattr(error, "request", None)
    return 0 if request is None else int(request.headers.get(_RETRIES_HEADER, 0))


def ask_all(
    send: Callable[[Any], Reply],
    questions: dict,
    n_concurrent: int,
    may_start: Callable[[], bool],
):
    """Send requests concurrently, and yield the replies as they arrive.

    Parameters
    ----------
    send : callable
        Takes one question and returns its `Reply`; called in threads.

    questions : dict
        Position -> question.

    n_concurrent : int
        Number of concurrent requests.

    may_start : callable
        Returns whether one more request may start; if so, it is started.

    Yields
    ------
    tuple of (position, Reply)
        Running requests are finished when no more may start, so that no paid answer is
        lost.
    """
    waiting = deque(questions.items())
    running: dict[Future, Any] = {}
    pool = ThreadPoolExecutor(n_concurrent, thread_name_prefix="asking")
    try:
        while True:
            while waiting and len(running) < n_concurrent and may_start():
                position, question = waiting.popleft()
                running[pool.submit(send, question)] = position
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
