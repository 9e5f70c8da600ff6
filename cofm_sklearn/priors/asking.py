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

    choice : openai.types.chat.chat_completion.Choice or None
        The answer, if there is one.

    refusal : str
        The server's message, if it refused this request.

    failure : str
        What happened, and the cure, if there is no answer for another reason.
    """

    n_requests: int
    n_tokens: int
    choice: Any = None
    refusal: str = ""
    failure: str = ""


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
        If the variable is not set.
    """
    if api_key_env is None and base_url is not None:
        return _NO_KEY
    name = api_key_env or "OPENAI_API_KEY"
    key = os.environ.get(name)
    if not key:
        raise ValueError(
            f"The environment variable {name} is not set. It must contain the key of "
            "the server; api_key_env can name another variable."
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
            How many tokens to list at each position; if the server refuses this, the
            request is sent without it.

        Returns
        -------
        Reply
        """
        if logprobs and self._knows_logprobs:
            more = {"logprobs": True, "top_logprobs": logprobs}
            reply = self._send({**body, **more})
            if not reply.refusal:
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
                if getattr(error, "status_code", None) in (400, 413, 422):
                    return Reply(n_requests, n_tokens, refusal=self._hide_key(error))
                return Reply(n_requests, n_tokens, failure=self._explain(error))
            n_requests += 1 + raw.retries_taken
            choice, n_used = self._parse(raw, body)
            n_tokens += n_used
            if choice is not None:
                return Reply(n_requests, n_tokens, choice)
        words = (
            f"The server sent no complete answer in {n_requests} attempts. The last "
            f"one begins with {self._hide_key(raw.text[:80])!r}."
        )
        return Reply(n_requests, n_tokens, failure=words)

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

    def _explain(self, error):
        words = self._hide_key(error)
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            cure = "Check the key in the environment variable that api_key_env names."
        elif status == 404:
            cure = "Check base_url, which often ends in /v1, and the name of the model."
        elif isinstance(error, self._library.APITimeoutError):
            cure = "Raise timeout or max_retries, or lower n_concurrent."
        else:
            cure = "Check that the server is running, and call again to continue."
        return (
            f"The language model did not answer ({type(error).__name__}: {words}). "
            f"{cure} Answers so far are kept."
        )

    def _hide_key(self, words):
        words = str(words)
        return words if self._key == _NO_KEY else words.replace(self._key, "***")


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
        When a request fails, the running ones are finished first, so that no paid
        answer is lost; then a RuntimeError is raised.
    """
    waiting = deque(questions.items())
    running: dict[Future, Any] = {}
    failure: BaseException | None = None
    pool = ThreadPoolExecutor(n_concurrent, thread_name_prefix="asking")
    try:
        while True:
            while failure is None and waiting and len(running) < n_concurrent:
                if not may_start():
                    break
                position, question = waiting.popleft()
                running[pool.submit(send, question)] = position
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                position = running.pop(future)
                error = future.exception()
                if error is None:
                    reply = future.result()
                    yield position, reply
                    error = RuntimeError(reply.failure) if reply.failure else None
                failure = failure or error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure
