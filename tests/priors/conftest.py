"""A real language model on loopback, tiny and made here, behind a proxy with faults."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

WIDTH = 32
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_llama(path, answers):
    """Write a llama of one block over bytes that answers by one of these characters.

    All weights are random but two dimensions: one lets `answers` come first, the other
    lets it end after them. Which answer it is depends on all of the prompt.
    """
    gguf = pytest.importorskip("gguf")
    rng = np.random.RandomState(0)
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    bytes_ = [chr(b) if b in shown else chr(next(hidden)) for b in range(256)]
    tokens = [*bytes_, "<|im_start|>", "<|im_end|>"]
    first = [ord(answer) for answer in answers]

    def weights(n_rows, scale, keep=WIDTH):
        W = scale * rng.randn(n_rows, WIDTH)
        W[:, keep:] = 0
        return W.astype(np.float32)

    given, taken = weights(len(tokens), 0.5), weights(len(tokens), 0.5)
    given[:, :2] = taken[:, :2] = 0
    given[:, 0] = 2
    taken[first, 0] = 14
    given[first, 1] = 12
    taken[-1, 1] = 12
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(WIDTH // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3, 3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    ones = np.ones(WIDTH, dtype=np.float32)
    writer.add_tensor("token_embd.weight", given)
    writer.add_tensor("output.weight", taken)
    writer.add_tensor("output_norm.weight", ones)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", ones)
    for name in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"):
        writer.add_tensor(f"blk.0.{name}.weight", weights(WIDTH, 0.28))
    for name in ("attn_output", "ffn_down"):
        W = weights(WIDTH, 0.28)
        W[:2] = 0
        writer.add_tensor(f"blk.0.{name}.weight", W)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """Address of llama.cpp's own server with that model."""
    xllamacpp = pytest.importorskip("xllamacpp")
    path = tmp_path_factory.mktemp("a tiny llama") / "tiny.gguf"
    write_tiny_llama(path, "ABC")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.port = 4096, 1, 0
    params.warmup = False
    # Equal prompts get equal answers, whatever was asked before.
    params.cache_prompt = False
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


class Proxy:
    """Forward requests to a server, and inject faults of networks.

    Attributes
    ----------
    faults : list
        What happens to the next requests, one each: a status, or one and a message;
        "hang", nothing comes;
        "half", the connection ends within the answer; "cut", the answer ends within its
        JSON; "page", a page of HTML; ("says", text), the model's words are replaced;
        "no tokens", probabilities of tokens are left out; a function changes the
        answer in place. None lets it pass.

    always : callable or None
        Returns the fault of a request by its body, where `faults` is empty.

    seen : list of dict
        Bodies of all requests.

    answered : list of str
        Prompts that a whole answer was sent to.

    headers : list of dict
        Of all requests.
    """

    def __init__(self, target):
        self.target = target
        self.lock = threading.Lock()
        self.most_at_once = self.at_once = 0
        self.over = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                proxy.handle(self)

            def log_message(self, *args):
                pass

        self.reset()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def reset(self):
        self.faults, self.always = [], None
        self.seen, self.answered, self.headers = [], [], []
        self.most_at_once = 0

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def handle(self, handler):
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        body = json.loads(data)
        prompt = body["messages"][-1]["content"]
        with self.lock:
            self.seen.append(body)
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            fault = self.faults.pop(0) if self.faults else None
        if fault is None and self.always is not None:
            fault = self.always(body)
        if isinstance(fault, int):
            key = handler.headers.get("Authorization", "")
            fault = fault, f"fault {fault}, you sent {key}"
        if isinstance(fault, tuple) and isinstance(fault[0], int):
            error = {"error": {"message": fault[1]}}
            return self.reply(handler, json.dumps(error).encode(), fault[0])
        if fault == "hang":
            self.over.wait(10)
            handler.close_connection = True
            return None
        if fault == "page":
            return self.reply(handler, b"<html>Log in</html>", kind="text/html")
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        answer = self.forward(data)
        with self.lock:
            self.at_once -= 1
        if callable(fault):
            answer = json.loads(answer)
            fault(answer)
            answer = json.dumps(answer).encode()
        elif fault is not None and fault not in ("half", "cut"):
            answer = json.loads(answer)
            choice = answer["choices"][0]
            choice.pop("logprobs", None)
            if fault != "no tokens":
                choice["message"]["content"] = fault[1]
            answer = json.dumps(answer).encode()
        if fault == "cut":
            return self.reply(handler, answer[: len(answer) // 2])
        if fault == "half":
            self.reply(handler, answer, n_sent=len(answer) // 2)
            handler.close_connection = True
            return None
        with self.lock:
            self.answered.append(prompt)
        return self.reply(handler, answer)

    def forward(self, data):
        request = urllib.request.Request(
            f"{self.target}/v1/chat/completions",
            data,
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return response.read()

    @staticmethod
    def reply(handler, content, status=200, kind="application/json", n_sent=None):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        if status in (429, 500, 503):
            handler.send_header(
                "retry-after-ms", "1"
            )  # or the client waits half a second
        handler.end_headers()
        handler.wfile.write(content[:n_sent])


@pytest.fixture(scope="session")
def _proxy(llama):
    proxy = Proxy(llama)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(_proxy):
    """The same for all tests, without faults."""
    _proxy.reset()
    return _proxy
