"""Many requests to a chat endpoint: several at once, repeated, counted."""

import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cofm_sklearn.utils import import_optional

__all__ = ["Endpoint", "Reply", "ask_all", "check_base_url", "read_key"]

_NO_KEY = "none"  # the client insists on one
_LONGEST_PAUSE_S = 8.0


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes
    ----------
    choice : openai.types.chat.chat_completion.Choice or None
        The answer; None if the server refused the request as such.

    refusal : str
        The server's words, if it refused.

    n_requests, n_tokens : int
        What it took, repeats included; tokens are estimated where the server does
        not count them.
    """

    choice: Any
    refusal: str
    n_requests: int
    n_tokens: int


def check_base_url(base_url):
    """Raise a ValueError unless this is None or an address that holds no key."""
    if base_url is None:
        return
    parts = urlsplit(base_url) if isinstance(base_url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            "base_url must be an address such as "
            f'"http://localhost:8000/v1", or None; got {type(base_url).__name__}.'
        )
    if "@" in parts.netloc or parts.query:
        # Not shown: it would be in the traceback.
        raise ValueError(
            "base_url must hold neither a password nor a query: it is part of repr and "
            "pickle. Put the key into an environment variable, and name that in "
            "api_key_env."
        )


def read_key(api_key_env, base_url):
    """Return the key that an environment variable holds.

    The key of OpenAI goes to OpenAI only: to other servers goes what is named.

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
            f"The environment variable {name} is not set. It must hold the key of the "
            "server; api_key_env names another variable."
        )
    return key


class Endpoint:
    """A chat endpoint, open for a number of requests; used as a context manager.

    Parameters
    ----------
    base_url : str or None
        Of the server; None is OpenAI's own.

    key : str
        Shown in no error.

    timeout : float
        In seconds, for one try.

    max_retries : int
        How often a request is repeated.
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
        """Ask, and repeat until there is a whole answer.

        Parameters
        ----------
        body : dict
            Arguments of the request.

        logprobs : int, default=0
            How many tokens to list at each position; a server that refuses to is
            asked without.

        Returns
        -------
        Reply

        Raises
        ------
        RuntimeError
            If there is none after all repeats, or the server does not know model or
            key.
        """
        if logprobs and self._knows_logprobs:
            more = {"logprobs": True, "top_logprobs": logprobs}
            reply = self._send({**body, **more})
            if reply.choice is not None:
                return reply
            without = self._send(body)
            if without.choice is not None:
                self._knows_logprobs = False
            n_requests = reply.n_requests + without.n_requests
            return replace(without, n_requests=n_requests)
        return self._send(body)

    def _send(self, body):
        n_requests = 0
        for attempt in range(self._max_retries + 1):
            if attempt:
                time.sleep(min(0.5 * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
            try:
                raw = self._client.chat.completions.with_raw_response.create(**body)
            except self._library.APIStatusError as error:
                if error.status_code in (400, 413, 422):
                    return Reply(None, self._hide_key(error), n_requests + 1, 0)
                raise RuntimeError(self._explain(error)) from None
            except self._library.OpenAIError as error:
                raise RuntimeError(self._explain(error)) from None
            n_requests += 1 + raw.retries_taken
            choice, n_tokens = self._parse(raw, body)
            if choice is not None:
                return Reply(choice, "", n_requests, n_tokens)
        raise RuntimeError(
            f"The server sent no whole answer in {n_requests} tries. What it sent "
            f"begins with {self._hide_key(raw.text[:80])!r}."
        )

    def _parse(self, raw, body):
        """Return choice and number of tokens, or (None, 0) of half an answer."""
        try:
            completion = raw.parse()
            choice = completion.choices[0]
            choice.message.content  # noqa: B018 - what `Questionnaire.read` needs
        except (
            *(ValueError, TypeError, AttributeError, LookupError),
            self._library.APIResponseValidationError,
        ):
            return None, 0
        if completion.usage is not None and completion.usage.total_tokens is not None:
            return choice, completion.usage.total_tokens
        return choice, len(str(body["messages"])) // 4

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
            cure = "Check that the server runs; call again to go on."
        return (
            f"The language model did not answer ({type(error).__name__}: {words}). "
            f"{cure} Answers so far are kept."
        )

    def _hide_key(self, words):
        words = str(words)
        return words if self._key == _NO_KEY else words.replace(self._key, "***")


def ask_all(
    send: Callable[[Any], Reply],
    questions: dict,
    n_concurrent: int,
    may_ask: Callable[[int], bool],
):
    """Send several requests at once, and yield the replies as they come.

    Parameters
    ----------
    send : callable
        Takes one question, and returns its `Reply`; called in threads.

    questions : dict
        Position -> question.

    n_concurrent : int
        Requests at a time.

    may_ask : callable
        Told how many requests are under way, says whether one more may be begun.

    Yields
    ------
    tuple of (position, Reply)
        When a request fails, those that are under way are waited for first, so that
        nothing that was paid for is lost; then the error is raised.
    """
    waiting = iter(questions.items())
    running: dict[Future, Any] = {}
    failure = None
    pool = ThreadPoolExecutor(n_concurrent, thread_name_prefix="asking")
    try:
        while True:
            while failure is None and len(running) < n_concurrent:
                if not may_ask(len(running)):
                    break
                one = next(waiting, None)
                if one is None:
                    break
                running[pool.submit(send, one[1])] = one[0]
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                position = running.pop(future)
                error = future.exception()
                if error is None:
                    yield position, future.result()
                elif failure is None:
                    failure = error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure
