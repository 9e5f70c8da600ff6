// What samples and classes hold is only ever set as text or as the source of an image.

const SLOW_MS = 1500;
const LOST_MS = 15000;
const SHOWN_BARS = 6;

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function percent(value) {
  return `${Math.round(100 * value)} %`;
}

function curveSvg(curve) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 120 36");
  svg.setAttribute("class", "cofm-curve");
  svg.setAttribute("role", "img");
  const [n, last] = curve[curve.length - 1];
  svg.setAttribute("aria-label", `Accuracy on the samples asked about: ${percent(last)} at ${n} labels`);
  const title = document.createElementNS(ns, "title");
  title.textContent = "Accuracy on the samples asked about, over the number of labels";
  const x = (value) => 2 + (116 * value) / Math.max(n, 1);
  const y = (value) => 34 - 32 * value;
  const line = document.createElementNS(ns, "polyline");
  line.setAttribute("points", curve.map(([a, b]) => `${x(a)},${y(b)}`).join(" "));
  const base = document.createElementNS(ns, "line");
  for (const [name, value] of [["x1", 2], ["x2", 118], ["y1", 34], ["y2", 34]]) {
    base.setAttribute(name, value);
  }
  const dot = document.createElementNS(ns, "circle");
  for (const [name, value] of [["cx", x(n)], ["cy", y(last)], ["r", 2]]) {
    dot.setAttribute(name, value);
  }
  svg.append(title, base, line, dot);
  return svg;
}

class Labeller {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.classes = [];
    this.queue = [];
    this.suspects = [];
    this.reviewing = false;
    this.waiting = null; // what the kernel was asked for before anything else goes on
    this.pending = new Map(); // seq -> {id, since}
    this.seq = 0;
    this.progress = null;
    this.lost = false;
    this.build();
    this.onMessage = (message) => this.receive(message);
    model.on("msg:custom", this.onMessage);
    this.timer = setInterval(() => this.watch(), 500);
    this.send({ type: "hello" }, "Loading …");
  }

  close() {
    clearInterval(this.timer);
    this.model.off("msg:custom", this.onMessage);
  }

  build() {
    const root = make("div", "cofm-labeller");
    root.tabIndex = 0;
    root.setAttribute("role", "region");
    root.setAttribute("aria-label", "Labelling");
    // Notebooks have shortcuts of their own for the same keys.
    root.dataset.lmSuppressShortcuts = "true";
    this.head = make("div", "cofm-head");
    this.reason = make("p", "cofm-reason");
    this.sample = make("div", "cofm-sample");
    this.sample.setAttribute("aria-live", "polite");
    this.sample.tabIndex = 0;
    this.filter = make("input", "cofm-filter");
    this.filter.type = "search";
    this.filter.placeholder = "Type a part of a class, Enter takes the first";
    this.filter.setAttribute("aria-label", "Find a class");
    this.filter.hidden = true;
    this.buttons = make("div", "cofm-classes");
    this.buttons.setAttribute("role", "group");
    this.buttons.setAttribute("aria-label", "Classes");
    this.opinions = make("div", "cofm-opinions");
    this.actions = make("div", "cofm-actions");
    this.action = {};
    for (const [name, text, key] of [
      ["undo", "Undo", "U"], ["skip", "Skip", "S"], ["review", "Review suspects", "R"],
    ]) {
      const button = make("button", "", text);
      button.type = "button";
      button.append(make("kbd", "", key));
      button.setAttribute("aria-keyshortcuts", key);
      button.addEventListener("click", () => this[name]());
      this.action[name] = button;
      this.actions.append(button);
    }
    this.status = make("p", "cofm-status");
    this.status.setAttribute("role", "status");
    root.append(
      this.head, this.reason, this.sample, this.filter, this.buttons, this.actions,
      this.opinions, this.status,
    );
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.filter.addEventListener("input", () => this.showClasses());
    this.root = root;
    this.el.append(root);
  }

  // The kernel -------------------------------------------------------------

  send(message, waitFor) {
    const seq = ++this.seq;
    this.pending.set(seq, { id: message.id, text: message.type, since: Date.now() });
    if (waitFor) {
      this.waiting = seq;
      this.say(waitFor);
    }
    this.model.send({ ...message, seq });
  }

  receive(reply) {
    const asked = this.pending.get(reply.ack);
    this.pending.delete(reply.ack);
    this.lost = false;
    if (this.waiting === reply.ack) this.waiting = null;
    if (reply.more !== undefined) {
      this.showMore(reply);
      return;
    }
    if (reply.classes) this.classes = reply.classes;
    if (reply.progress) this.progress = reply.progress;
    if (reply.review) {
      this.reviewing = true;
      this.suspects = reply.review;
    }
    if (reply.questions) {
      // What was answered since is on its way to the kernel.
      const sent = new Set([...this.pending.values()].map((one) => one.id));
      this.queue = reply.questions.filter((one) => !sent.has(one.id));
    }
    this.say(reply.error ? `Not done: ${reply.error}` : "", Boolean(reply.error));
    if (asked && asked.text === "undo" && !reply.error) {
      this.reviewing = false;
      this.say("Taken back.");
    }
    this.show();
  }

  watch() {
    const since = [...this.pending.values()].map((one) => one.since);
    const age = since.length ? Date.now() - Math.min(...since) : 0;
    if (age > LOST_MS) {
      this.lost = true;
      this.say(
        `The kernel does not answer; ${this.nUnsaved()} answers are not saved. ` +
          "Everything before is. When the kernel is back, run the cell again.",
        true,
      );
    } else if (age > SLOW_MS && !this.lost && this.waiting === null) {
      const n = this.nUnsaved();
      if (n) this.say(`Saving ${n} …`);
    }
  }

  nUnsaved() {
    return [...this.pending.values()].filter((one) => one.id !== undefined).length;
  }

  // What people do ---------------------------------------------------------

  current() {
    return this.reviewing ? this.suspects[0] : this.queue[0];
  }

  choose(label) {
    const one = this.current();
    if (!one || this.waiting !== null || label >= this.classes.length) return;
    this.filter.value = "";
    if (this.reviewing) {
      this.suspects.shift();
      if (label !== one.label) this.send({ type: "relabel", id: one.id, label });
    } else {
      this.queue.shift();
      this.send({ type: "answer", id: one.id, label });
    }
    this.show();
  }

  skip() {
    const one = this.current();
    if (!one || this.waiting !== null) return;
    if (this.reviewing) {
      this.suspects.shift();
    } else {
      this.queue.shift();
      this.send({ type: "skip", id: one.id });
    }
    this.show();
  }

  undo() {
    if (this.waiting === null) this.send({ type: "undo" }, "Taking back …");
  }

  review() {
    if (this.waiting !== null) return;
    if (this.reviewing) {
      this.reviewing = false;
      this.show();
    } else {
      this.send({ type: "review" }, "Looking for labels that are likely wrong …");
    }
  }

  onKey(event) {
    const typing = event.target === this.filter;
    if (typing && event.key === "Enter") {
      const first = this.buttons.querySelector("button:not([hidden])");
      if (first) {
        event.preventDefault();
        first.click();
        this.root.focus({ preventScroll: true });
      }
      return;
    }
    if (typing && event.key === "Escape") {
      this.filter.value = "";
      this.showClasses();
      this.root.focus({ preventScroll: true });
      return;
    }
    if (typing || event.altKey || event.metaKey || event.ctrlKey) return;
    const key = event.key.toLowerCase();
    const acts = { s: "skip", u: "undo", r: "review" };
    if (key >= "1" && key <= "9") this.choose(Number(key) - 1);
    else if (acts[key]) this[acts[key]]();
    else if (key === "/" && !this.filter.hidden) this.filter.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // What people see --------------------------------------------------------

  say(text, isError = false) {
    this.status.textContent = text;
    this.status.classList.toggle("cofm-error", isError);
  }

  show() {
    this.showProgress();
    this.root.classList.toggle("cofm-reviewing", this.reviewing);
    const review = this.action.review.firstChild;
    review.textContent = this.reviewing ? "Back to labelling" : "Review suspects";
    this.action.skip.firstChild.textContent = this.reviewing ? "Keep" : "Skip";
    const one = this.current();
    if (one && one.id === this.shown && this.reviewing === this.shownInReview) {
      this.showClasses();
      return;
    }
    this.shown = one ? one.id : null;
    this.shownInReview = this.reviewing;
    this.reason.textContent = one ? one.reason : "";
    this.sample.replaceChildren(...this.contentOf(one));
    this.sample.scrollTop = 0;
    this.showClasses();
    this.showOpinions(one);
  }

  contentOf(one) {
    if (!one) {
      let text = "Waiting for the next question …";
      if (this.reviewing) text = "No more suspects.";
      else if (this.waiting === null && !this.pending.size) {
        text = "Nothing is left to ask.";
      }
      return [make("p", "cofm-empty", text)];
    }
    if (one.broken) return [make("p", "cofm-empty", one.broken)];
    if (one.image) {
      const image = make("img");
      image.src = one.image;
      image.alt = "The sample to be labelled";
      return [image];
    }
    if (!one.text.trim()) return [make("p", "cofm-empty", "(empty text)")];
    const body = make("div", "cofm-text", one.text);
    body.dir = "auto";
    if (one.text.length >= one.n_characters) return [body];
    const more = make("button", "cofm-more");
    more.type = "button";
    this.nameMore(more, one);
    more.addEventListener("click", () => {
      this.send({ type: "text", id: one.id, start: one.text.length });
    });
    return [body, more];
  }

  nameMore(button, one) {
    const [shown, all] = [one.text.length, one.n_characters].map((n) =>
      n.toLocaleString("en"),
    );
    button.textContent = `Show more (${shown} of ${all} characters)`;
  }

  showMore(reply) {
    const one = this.current();
    if (!one || one.id !== reply.id) return;
    one.text += reply.more;
    // Only what is new is laid out.
    this.sample.querySelector(".cofm-text").append(reply.more);
    const button = this.sample.querySelector(".cofm-more");
    if (one.text.length >= one.n_characters) button.remove();
    else this.nameMore(button, one);
  }

  showClasses() {
    const many = this.classes.length > 9;
    this.filter.hidden = !many;
    if (this.buttons.childElementCount !== this.classes.length) {
      this.buttons.replaceChildren(
        ...this.classes.map((name, k) => {
          const button = make("button", "", name);
          button.type = "button";
          button.dir = "auto";
          if (k < 9) {
            button.append(make("kbd", "", String(k + 1)));
            button.setAttribute("aria-keyshortcuts", String(k + 1));
          }
          button.addEventListener("click", () => this.choose(k));
          return button;
        }),
      );
    }
    const one = this.current();
    const wanted = this.filter.value.trim().toLowerCase();
    [...this.buttons.children].forEach((button, k) => {
      button.disabled = !one || this.waiting !== null;
      button.hidden = !this.classes[k].toLowerCase().includes(wanted);
      const given = one && one.label === k;
      button.classList.toggle("cofm-given", Boolean(given));
      if (this.reviewing) button.setAttribute("aria-pressed", String(Boolean(given)));
      else button.removeAttribute("aria-pressed");
    });
    this.action.skip.disabled = !one || this.waiting !== null;
    this.action.undo.disabled = this.waiting !== null;
    this.action.review.disabled = this.waiting !== null;
  }

  showOpinions(one) {
    this.opinions.replaceChildren();
    if (!one || !(one.prior || one.small)) return;
    const rank = one.both || one.small || one.prior;
    const best = rank.map((_, k) => k).sort((a, b) => rank[b] - rank[a]);
    const table = make("table");
    const header = make("tr");
    for (const text of ["", "Foundation model", "Small model"]) {
      const cell = make(text ? "th" : "td", "", text);
      if (text) cell.scope = "col";
      header.append(cell);
    }
    table.append(header);
    for (const k of best.slice(0, SHOWN_BARS)) {
      const row = make("tr");
      const name = make("th", "", this.classes[k]);
      name.scope = "row";
      name.dir = "auto";
      row.append(name);
      for (const [who, className] of [["prior", "prior"], ["small", "small"]]) {
        const cell = make("td");
        if (one[who]) {
          const bar = make("span", `cofm-bar cofm-${className}`);
          const part = make("span");
          part.style.width = `${100 * one[who][k]}%`;
          bar.append(part);
          bar.setAttribute("aria-hidden", "true");
          cell.append(bar, make("span", "cofm-number", percent(one[who][k])));
        } else {
          cell.textContent = "–";
        }
        row.append(cell);
      }
      table.append(row);
    }
    this.opinions.append(table);
  }

  showProgress() {
    const progress = this.progress;
    if (!progress) return;
    const n = (value) => value.toLocaleString("en");
    const line = make("div", "cofm-line");
    const labels = `${n(progress.n_labels)} of ${n(progress.n_pool)} labelled`;
    const left = `Review: ${n(this.suspects.length)} to look at`;
    line.append(make("strong", "", this.reviewing ? left : labels));
    if (progress.n_skipped) line.append(make("span", "", `${n(progress.n_skipped)} skipped`));
    if (progress.accuracy !== null) {
      // Not the pool's: people are asked about what is hard.
      let text = `accuracy on the hard samples asked about: ${percent(progress.accuracy)}`;
      if (progress.interval) {
        text += ` (${percent(progress.interval[0])} to ${percent(progress.interval[1])})`;
      }
      const span = make("span", "", text);
      span.title = "Of models that have not seen these labels. On the whole pool it is likely higher.";
      line.append(span);
    }
    if (progress.noise_rate) {
      line.append(make("span", "", `about ${percent(progress.noise_rate)} wrong labels`));
    }
    const counts = make("ul", "cofm-counts");
    counts.setAttribute("aria-label", "Labels per class");
    this.classes.forEach((name, k) => {
      const item = make("li", progress.counts[k] ? "" : "cofm-none");
      const label = make("span", "", name);
      label.dir = "auto";
      item.append(label, make("b", "", n(progress.counts[k])));
      counts.append(item);
    });
    const parts = [line, counts];
    if (progress.curve.length > 1) line.append(curveSvg(progress.curve));
    if (progress.stop) {
      parts.push(make("p", "cofm-stop", `Enough, it seems. ${progress.stop_reason || ""}`));
    }
    this.head.replaceChildren(...parts);
  }
}

function render({ model, el }) {
  const labeller = new Labeller(model, el);
  return () => labeller.close();
}

export default { render };
