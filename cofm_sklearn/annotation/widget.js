// Content of samples and classes is only ever set as text or as an image source.

const SLOW_MS = 1500;
const LOST_MS = 15000;
const SHOWN_BARS = 6;
const POLL_MS = 400; // while questions are being selected
const FIGURES_MS = 1500; // while scores are older than the last answer
const MOST_LOOKS = 8; // retries for newer scores

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function percent(value) {
  return `${Math.round(100 * value)} %`;
}

// Digits mean the position of a class, unless class names start with digits.
function isNumbered(names) {
  return !names.some((name) => /^\d/.test(name.trim()));
}

// Classes that match the typed text, best first: equal names or numbers, names that
// start with it, names with a word that starts with it, then any that contain it.
function findClasses(names, typed) {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return [];
  const byNumber = isNumbered(names) && /^\d+$/.test(wanted);
  const found = [];
  names.forEach((name, k) => {
    const text = byNumber ? String(k + 1) : name.trim().toLowerCase();
    const at = text.indexOf(wanted);
    if (text === wanted) found.push([0, k]);
    else if (at === 0) found.push([1, k]);
    else if (byNumber || at < 0) return;
    else if (text.split(/[^\p{L}\p{N}]+/u).some((word) => word.startsWith(wanted))) {
      found.push([2, k]);
    } else found.push([3, k]);
  });
  return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, k]) => k);
}

// The class that the models predict together; null if there is no prediction.
function guessOf(one) {
  const proba = one && (one.both || one.small || one.prior);
  return proba ? proba.indexOf(Math.max(...proba)) : null;
}

function curveSvg(curve) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 120 36");
  svg.setAttribute("class", "cofm-curve");
  svg.setAttribute("role", "img");
  const [n, last] = curve[curve.length - 1];
  svg.setAttribute("aria-label", `Accuracy on the queried samples: ${percent(last)} at ${n} labels`);
  const title = document.createElementNS(ns, "title");
  title.textContent = "Accuracy on the queried samples, over the number of labels";
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
    this.found = null; // a sample opened from search or map
    this.panel = null;
    this.descriptions = [];
    this.changes = 0;
    this.preparing = false;
    this.looks = 0;
    this.since = Date.now();
    this.waiting = null; // the request to the kernel that blocks all others
    this.pending = new Map(); // seq -> {id, also, text, since}
    this.seq = 0;
    this.progress = null;
    this.lost = false;
    this.picked = 0; // position, among the classes found, of the one that Enter takes
    this.build();
    this.onMessage = (message) => this.receive(message);
    model.on("msg:custom", this.onMessage);
    this.timer = setInterval(() => this.watch(), 500);
    this.send({ type: "hello" }, "Loading …");
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.later);
    this.model.off("msg:custom", this.onMessage);
  }

  build() {
    const root = make("div", "cofm-labeller");
    root.tabIndex = 0;
    root.setAttribute("role", "region");
    root.setAttribute("aria-label", "Labelling");
    // Notebooks use the same keys for their own shortcuts.
    root.dataset.lmSuppressShortcuts = "true";
    this.status = make("p", "cofm-status");
    this.status.setAttribute("role", "status");
    this.head = make("div", "cofm-head");
    this.reason = make("p", "cofm-reason");
    this.sample = make("div", "cofm-sample");
    this.sample.setAttribute("aria-live", "polite");
    this.sample.tabIndex = 0;
    this.filter = make("input", "cofm-filter");
    this.filter.type = "search";
    this.filter.placeholder = "Type the start of a class name, or its number";
    this.filter.setAttribute("aria-label", "Find a class by its name or number");
    this.filter.autocomplete = "off";
    this.filter.hidden = true;
    this.taken = make("p", "cofm-taken");
    this.taken.setAttribute("aria-live", "polite");
    this.buttons = make("div", "cofm-classes");
    this.buttons.setAttribute("role", "group");
    this.buttons.setAttribute("aria-label", "Classes");
    this.opinions = make("div", "cofm-opinions");
    this.actions = make("div", "cofm-actions");
    this.action = {};
    for (const [name, text, key] of [
      ["undo", "Undo", "U"], ["skip", "Skip", "S"], ["review", "Review suspects", "R"],
      ["find", "Find", "F"], ["change", "Classes", "C"], ["map", "Map", "M"],
    ]) {
      const button = make("button", "", text);
      button.type = "button";
      button.append(make("kbd", "", key));
      button.addEventListener("click", () => this[name]());
      this.action[name] = button;
      this.actions.append(button);
    }
    for (const name of ["find", "change", "map"]) {
      this.action[name].setAttribute("aria-expanded", "false");
    }
    this.context = make("dl", "cofm-context");
    this.context.setAttribute("aria-label", "More about this sample");
    this.also = make("div", "cofm-also");
    this.drawer = make("div", "cofm-drawer");
    root.append(
      this.status, this.head, this.reason, this.sample, this.context, this.also,
      this.filter, this.taken, this.buttons, this.actions, this.drawer, this.opinions,
    );
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.filter.addEventListener("input", () => {
      this.picked = 0;
      this.showClasses();
    });
    this.root = root;
    this.el.append(root);
  }

  // The kernel -------------------------------------------------------------

  send(message, waitFor) {
    const seq = ++this.seq;
    const { id, also, type } = message;
    this.pending.set(seq, { id, also: also || [], text: type, since: Date.now() });
    if (waitFor) {
      this.waiting = seq;
      this.say(waitFor);
    }
    this.root.setAttribute("aria-busy", "true");
    if (message.id !== undefined || message.type === "classes") this.looks = 0;
    this.model.send({ ...message, seq, changes: this.changes });
  }

  receive(reply) {
    const asked = this.pending.get(reply.ack);
    this.pending.delete(reply.ack);
    this.lost = false;
    if (this.waiting === reply.ack) this.waiting = null;
    if (reply.more !== undefined) {
      this.showMore(reply);
      this.root.setAttribute("aria-busy", String(this.pending.size > 0));
      return;
    }
    if (reply.classes) this.learnClasses(reply);
    if (reply.preparing !== undefined) this.preparing = reply.preparing;
    if (reply.hits && this.panel instanceof SearchPanel) this.panel.show(reply.hits);
    if (reply.map && this.panel instanceof MapPanel) this.panel.show(reply.map, reply.n_pool);
    if (reply.found) this.found = reply.found;
    if (reply.progress) this.progress = reply.progress;
    if (reply.review) {
      this.reviewing = true;
      this.suspects = reply.review;
    }
    if (reply.questions) {
      // Newer answers are still on their way to the kernel.
      const sent = new Set([...this.pending.values()].flatMap((one) => [one.id, ...one.also]));
      const before = this.queue[0];
      this.queue = reply.questions.filter((one) => !sent.has(one.id));
      const now = this.queue[0];
      // Keep the part of a long text that is shown.
      if (before && now && before.id === now.id && before.text) now.text = before.text;
    }
    if (asked && asked.text === "classes" && !reply.error) this.openPanel(ClassPanel, true);
    this.say(reply.error ? `Not done: ${reply.error}` : "", Boolean(reply.error));
    if (asked && asked.text === "classes" && !reply.error) this.say("The classes were changed.");
    if (asked && asked.text === "undo" && !reply.error) {
      this.reviewing = false;
      this.found = null;
      this.say("Undone.");
    }
    this.show();
    if (reply.found) this.root.focus({ preventScroll: true });
    this.askLater();
  }

  learnClasses(reply) {
    const same = JSON.stringify(reply.classes) === JSON.stringify(this.classes);
    if (!same) this.classes = reply.classes;
    const texts = JSON.stringify(reply.descriptions);
    if (texts !== JSON.stringify(this.descriptions)) {
      this.descriptions = reply.descriptions;
      this.named = null; // the buttons show the descriptions
    }
    if (reply.changes !== this.changes) {
      // These were shown with the previous classes.
      this.reviewing = false;
      this.suspects = [];
      this.found = null;
    }
    this.changes = reply.changes;
  }

  // Poll for questions that are still being selected, and scores of the last answer.
  askLater() {
    clearTimeout(this.later);
    const progress = this.progress;
    const isOld = progress && progress.n_trained > 0 && progress.n_measured !== progress.n_trained;
    const wants = this.preparing && !this.queue.length;
    if (!wants) this.since = Date.now();
    if (!wants && (!isOld || this.looks >= MOST_LOOKS)) return;
    this.later = setTimeout(() => {
      if (this.pending.size) return;
      if (!wants) this.looks += 1;
      this.send({ type: "more" });
    }, wants ? POLL_MS : FIGURES_MS);
  }

  watch() {
    const since = [...this.pending.values()].map((one) => one.since);
    const age = since.length ? Date.now() - Math.min(...since) : 0;
    const empty = this.sample.querySelector(".cofm-empty");
    if (empty && !this.current()) empty.textContent = this.whyEmpty();
    if (age > LOST_MS) {
      this.lost = true;
      this.say(
        `The kernel does not respond; ${this.nUnsaved()} answers are not saved. ` +
          "All earlier answers are. When the kernel is back, run the cell again.",
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

  // User actions ----------------------------------------------------------

  current() {
    if (this.found) return this.found;
    return this.reviewing ? this.suspects[0] : this.queue[0];
  }

  choose(label) {
    const one = this.current();
    if (!one || this.waiting !== null || label >= this.classes.length) return;
    this.filter.value = "";
    this.root.focus({ preventScroll: true }); // Enter on a button would press it again
    if (this.found) {
      const type = one.label === null ? "label" : "relabel";
      this.found = null;
      this.send({ type, id: one.id, label });
      if (this.panel instanceof SearchPanel) this.panel.done(one.id, label);
      this.queue = this.queue.filter((other) => other.id !== one.id);
    } else if (this.reviewing) {
      this.suspects.shift();
      // Giving the same label again confirms it.
      this.send({ type: "relabel", id: one.id, label });
    } else {
      this.queue.shift();
      const also = this.alsoWanted() ? one.also.map((other) => other.id) : [];
      this.send({ type: "answer", id: one.id, label, also });
      this.queue = this.queue.filter((other) => !also.includes(other.id));
    }
    this.show();
  }

  alsoWanted() {
    const box = this.also.querySelector("input");
    return Boolean(box && box.checked);
  }

  // N selects the near-duplicates, which get the same label.
  near() {
    const box = this.also.querySelector("input");
    if (box) box.checked = !box.checked;
  }

  open(id) {
    if (this.waiting === null) this.send({ type: "show", id }, "Opening …");
  }

  find() {
    this.openPanel(SearchPanel);
  }

  change() {
    this.openPanel(ClassPanel);
  }

  map() {
    this.openPanel(MapPanel);
  }

  openPanel(kind, again = false) {
    const isOpen = this.panel instanceof kind;
    this.panel = isOpen && !again ? null : new kind(this);
    this.drawer.replaceChildren(...(this.panel ? [this.panel.root] : []));
    const kinds = { find: SearchPanel, change: ClassPanel, map: MapPanel };
    for (const [name, one] of Object.entries(kinds)) {
      this.action[name].setAttribute("aria-expanded", String(this.panel instanceof one));
    }
    if (this.panel && !again) this.panel.focus();
    else this.root.focus({ preventScroll: true });
  }

  skip() {
    const one = this.current();
    if (!one || this.waiting !== null) return;
    if (this.found) {
      this.found = null;
      this.show();
      return;
    }
    if (this.reviewing) {
      this.choose(one.label);
      return;
    }
    this.queue.shift();
    this.send({ type: "skip", id: one.id });
    this.show();
  }

  undo() {
    if (this.waiting === null) this.send({ type: "undo" }, "Undoing …");
  }

  review() {
    if (this.waiting !== null) return;
    this.found = null;
    if (this.reviewing) {
      this.reviewing = false;
      this.show();
    } else {
      this.send({ type: "review" }, "Searching for labels that are likely wrong …");
    }
  }

  // What Enter takes without typed text: the prediction; in a review, the current label.
  offered() {
    const one = this.current();
    return one && one.label !== null ? one.label : guessOf(one);
  }

  accept() {
    const typed = this.isMany() && this.filter.value.trim();
    const found = findClasses(this.classes, this.filter.value);
    const label = typed ? found[this.picked] : this.offered();
    if (typed && !found.length) return;
    if (label !== null && label !== undefined) this.choose(label);
    else if (this.current()) this.say("There is no prediction; choose a class.");
  }

  isMany() {
    return this.classes.length > 9;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey) return;
    if (event.target === this.filter && !event.altKey) this.onFilterKey(event);
    else if (!/^(INPUT|SELECT)$/.test(event.target.tagName) || event.target.type === "checkbox") {
      this.onPlainKey(event);
    } else if (event.key === "Escape") {
      this.take(event, () => this.root.focus({ preventScroll: true }));
    }
  }

  // Whether the key has an action here; a key held down acts once.
  take(event, act) {
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) act();
  }

  onFilterKey(event) {
    const found = findClasses(this.classes, this.filter.value);
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key === "Enter" || (event.key === " " && !this.filter.value)) {
      this.take(event, () => this.accept());
    } else if (event.key === "Escape") {
      this.take(event, () => {
        this.filter.value = "";
        this.showClasses();
        this.root.focus({ preventScroll: true });
      });
    } else if (steps[event.key] && found.length) {
      event.preventDefault();
      this.picked = (this.picked + steps[event.key] + found.length) % found.length;
      this.showClasses();
    }
  }

  onPlainKey(event) {
    const onButton = /^(BUTTON|INPUT)$/.test(event.target.tagName);
    const acts = {
      s: "skip", u: "undo", r: "review", f: "find", c: "change", m: "map", n: "near",
    };
    // Alt with a letter may type another letter, so the physical key counts.
    const letter = event.altKey ? event.code.replace("Key", "").toLowerCase() : "";
    const key = event.key.toLowerCase();
    if (event.altKey) {
      if (acts[letter]) this.take(event, () => this[acts[letter]]());
    } else if (key === "enter" || key === " ") {
      if (!onButton) this.take(event, () => this.accept());
    } else if (this.isMany()) {
      // A letter or digit starts a class name, and never labels by itself.
      if (event.key.length !== 1) return;
      this.take(event, () => {
        this.filter.value += event.key === "/" ? "" : event.key;
        this.picked = 0;
        this.filter.focus({ preventScroll: true });
        this.showClasses();
      });
    } else if (key >= "1" && key <= "9") {
      this.take(event, () => this.choose(Number(key) - 1));
    } else if (acts[key]) this.take(event, () => this[acts[key]]());
  }

  // Rendering --------------------------------------------------------------

  say(text, isError = false) {
    this.status.textContent = text;
    this.status.classList.toggle("cofm-error", isError);
  }

  show() {
    this.showProgress();
    this.root.setAttribute("aria-busy", String(this.waiting !== null || this.pending.size > 0));
    this.root.classList.toggle("cofm-reviewing", this.reviewing);
    const review = this.action.review.firstChild;
    review.textContent = this.reviewing ? "Back to labelling" : "Review suspects";
    let skip = this.reviewing ? "Keep" : "Skip";
    if (this.found) skip = "Back";
    this.action.skip.firstChild.textContent = skip;
    // If letters search for classes, other actions need Alt.
    for (const button of Object.values(this.action)) {
      const key = button.lastChild;
      const letter = key.textContent.split("+").at(-1);
      key.textContent = this.isMany() ? `Alt+${letter}` : letter;
      button.setAttribute("aria-keyshortcuts", this.isMany() ? `Alt+${letter}` : `${letter} Alt+${letter}`);
    }
    const one = this.current();
    const view = one && [one.id, this.reviewing, this.found !== null, this.changes].join();
    if (one && view === this.shown) {
      this.showClasses();
      return;
    }
    this.shown = view;
    this.filter.value = ""; // it was typed for another sample
    this.reason.textContent = one ? one.reason : "";
    this.showContext(one);
    this.showAlso(one);
    this.sample.replaceChildren(...this.contentOf(one));
    this.sample.scrollTop = 0;
    this.sample.dataset.id = one ? one.id : "";
    this.showClasses();
    this.showOpinions(one);
  }

  whyEmpty() {
    if (this.reviewing) return "No more suspects.";
    if (this.waiting === null && !this.pending.size && !this.preparing && this.progress) {
      return "There are no more questions.";
    }
    const seconds = Math.round((Date.now() - this.since) / 1000);
    const what =
      this.progress && this.progress.n_labels
        ? "Training the models and selecting the next questions"
        : "Embedding the pool and selecting the first questions";
    return seconds < 2 ? `${what} …` : `${what} … ${seconds} s`;
  }

  showContext(one) {
    this.context.replaceChildren();
    for (const [name, value] of (one && one.context) || []) {
      const text = make("dd", "", value);
      text.dir = "auto";
      this.context.append(make("dt", "", name), text);
    }
    this.context.hidden = !this.context.childElementCount;
  }

  showAlso(one) {
    this.also.replaceChildren();
    const others = one && !this.reviewing && !this.found ? one.also : [];
    this.also.hidden = !others.length;
    if (!others.length) return;
    const box = make("input");
    box.type = "checkbox";
    const label = make("label");
    const n = others.length === 1 ? "a near-duplicate" : `${others.length} near-duplicates`;
    const key = make("kbd", "", this.isMany() ? "Alt+N" : "N");
    label.append(box, make("span", "", `Label ${n} the same`), key);
    const list = make("ul");
    list.setAttribute("aria-label", "Near-duplicates");
    for (const other of others) {
      const item = make("li");
      item.append(piece(other));
      list.append(item);
    }
    this.also.append(label, list);
  }

  contentOf(one) {
    if (!one) return [make("p", "cofm-empty", this.whyEmpty())];
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
    // Append only the new part.
    this.sample.querySelector(".cofm-text").append(reply.more);
    const button = this.sample.querySelector(".cofm-more");
    if (one.text.length >= one.n_characters) button.remove();
    else this.nameMore(button, one);
  }

  makeClass(name, k) {
    const button = make("button", "", name);
    button.type = "button";
    button.dir = "auto";
    if (!this.isMany() || isNumbered(this.classes)) {
      button.append(make("kbd", "", String(k + 1)));
      if (!this.isMany()) button.setAttribute("aria-keyshortcuts", String(k + 1));
    }
    button.append(make("kbd", "cofm-enter", "Enter"));
    const meaning = this.descriptions[k];
    if (meaning) {
      if (this.isMany()) button.title = meaning;
      else button.append(make("small", "", meaning));
    }
    button.addEventListener("click", () => this.choose(k));
    return button;
  }

  showClasses() {
    this.filter.hidden = !this.isMany();
    this.buttons.classList.toggle("cofm-many", this.isMany());
    if (this.named !== this.classes) {
      this.named = this.classes;
      this.buttons.replaceChildren(...this.classes.map((name, k) => this.makeClass(name, k)));
    }
    const one = this.current();
    const typed = this.isMany() ? this.filter.value.trim() : "";
    const found = findClasses(this.classes, typed);
    this.picked = Math.min(this.picked, Math.max(found.length - 1, 0));
    const next = typed ? found[this.picked] : this.offered();
    [...this.buttons.children].forEach((button, k) => {
      button.disabled = !one || this.waiting !== null;
      button.hidden = Boolean(typed) && !found.includes(k);
      button.style.order = typed ? found.indexOf(k) : "";
      button.querySelector(".cofm-enter").hidden = k !== next || button.disabled;
      button.classList.toggle("cofm-next", k === next);
      const given = one && one.label === k;
      button.classList.toggle("cofm-given", Boolean(given));
      if (this.reviewing) button.setAttribute("aria-pressed", String(Boolean(given)));
      else button.removeAttribute("aria-pressed");
    });
    let taken = "";
    if (typed) taken = found.length ? `Enter takes ${this.classes[next]}` : "No such class";
    else if (one && next !== null && next !== undefined) {
      const does = one.label === null ? "accepts the prediction" : "keeps";
      taken = `Enter ${does} ${this.classes[next]}`;
    }
    const meaning = this.isMany() && one && this.descriptions[next];
    // Announced again for each sample, even if unchanged.
    this.taken.replaceChildren(make("span", "", taken));
    if (meaning) this.taken.append(make("small", "", ` ${meaning}`));
    this.action.skip.disabled = !one || this.waiting !== null;
    this.action.undo.disabled = this.waiting !== null;
    this.action.review.disabled = this.waiting !== null;
  }

  showOpinions(one) {
    this.opinions.replaceChildren();
    if (!one || !(one.prior || one.small)) return;
    // Predictions of each model; sorted by the last column, which combines them.
    const trust = (who) => (one.trust ? ` (believed ${percent(one.trust[who] || 0)})` : "");
    const columns = [
      ["prior", `Foundation model${trust("prior")}`, one.prior],
      ["small", `Small model${trust("small")}`, one.small],
      ["near", `Neighbours${trust("neighbors")}`, one.near],
      ["both", "Together", one.both],
    ].filter(([, , proba]) => proba);
    if (columns.length === 2 && one.both) columns.shift(); // it is the only column
    const rank = one.both || one.small || one.prior;
    const best = rank.map((_, k) => k).sort((a, b) => rank[b] - rank[a]);
    const table = make("table");
    table.append(make("caption", "", "Predictions"));
    const header = make("tr");
    header.append(make("td"));
    for (const [, text] of columns) {
      const cell = make("th", "", text);
      cell.scope = "col";
      header.append(cell);
    }
    table.append(header);
    for (const k of best.slice(0, SHOWN_BARS)) {
      const row = make("tr");
      const name = make("th", "", this.classes[k]);
      name.scope = "row";
      name.dir = "auto";
      row.append(name);
      for (const [who, , proba] of columns) {
        const cell = make("td");
        const bar = make("span", `cofm-bar cofm-${who}`);
        const part = make("span");
        part.style.width = `${100 * proba[k]}%`;
        bar.append(part);
        bar.setAttribute("aria-hidden", "true");
        cell.append(bar, make("span", "cofm-number", percent(proba[k])));
        row.append(cell);
      }
      table.append(row);
    }
    this.opinions.append(table);
    if (!one.nearest.length) return;
    const list = make("ul", "cofm-nearest");
    list.setAttribute("aria-label", "The nearest labelled samples");
    for (const other of one.nearest) {
      const item = make("li");
      const how = ` ${percent(other.alike)} alike: `;
      item.append(make("b", "", this.classes[other.label]), how, piece(other));
      list.append(item);
    }
    this.opinions.append(make("p", "cofm-hint", "The nearest labelled samples"), list);
  }

  showProgress() {
    const progress = this.progress;
    if (!progress) return;
    const n = (value) => value.toLocaleString("en");
    const line = make("div", "cofm-line");
    const labels = `${n(progress.n_labels)} of ${n(progress.n_pool)} labelled`;
    const left = `Review: ${n(this.suspects.length)} left`;
    line.append(make("strong", "", this.reviewing ? left : labels));
    if (progress.n_skipped) line.append(make("span", "", `${n(progress.n_skipped)} skipped`));
    const within = ([value, low, high]) =>
      `${percent(value)} (${percent(low)} to ${percent(high)})`;
    const check = progress.check;
    if (check) {
      const [name, recall, low, high] = check.rarest;
      const text =
        `check set of ${n(check.n)}: accuracy ${within(check.accuracy)}, ` +
        `balanced ${within(check.balanced)}, recall of ${name} ${within([recall, low, high])}`;
      const span = make("span", "cofm-check", text);
      span.title = "On randomly drawn samples that are not used in training; intervals at 95 %.";
      line.append(span);
    }
    if (progress.accuracy !== null) {
      // Not the pool's accuracy: queries select hard samples.
      const text = `out-of-fold accuracy on queried samples: ${within([progress.accuracy, ...progress.interval])}`;
      const span = make("span", "", text);
      span.title = "By models that have not seen these labels. Queries select hard samples: on the whole pool, accuracy is likely higher.";
      line.append(span);
    }
    if ((check || progress.accuracy !== null) && progress.n_measured !== progress.n_trained) {
      line.append(make("span", "", `scores after ${n(progress.n_measured)} of ${n(progress.n_trained)} labels`));
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
      parts.push(make("p", "cofm-stop", `You can probably stop. ${progress.stop_reason || ""}`));
    }
    this.head.replaceChildren(...parts);
  }
}

function render({ model, el }) {
  const labeller = new Labeller(model, el);
  return () => labeller.close();
}

export default { render };
