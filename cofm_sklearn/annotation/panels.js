// Panels below the sample: search, classes, map. Only one is open at a time.

const COLORS = [
  "#2f7fd0", "#d0762f", "#3a9a54", "#c23b4b", "#8a63c4",
  "#8c6d4f", "#d062a8", "#6f6f6f", "#a3a52c", "#2aa5b5",
];

function colorOf(label) {
  return label === null || label === undefined ? "#999" : COLORS[label % COLORS.length];
}

// A form control with a label beside it.
function field(text, control) {
  const label = make("label", "cofm-field");
  label.append(make("span", "", text), control);
  control.setAttribute("aria-label", text); // without the text of a list's options
  return label;
}

function choices(options) {
  const select = make("select");
  for (const [value, text] of options) {
    const option = make("option", "", text);
    option.value = value;
    select.append(option);
  }
  return select;
}

// A sample in a list: its text, or a small image.
function piece(one) {
  if (one.image) {
    const image = make("img");
    image.src = one.image;
    image.alt = one.short;
    return image;
  }
  const text = make("span", "", one.short || "(empty text)");
  text.dir = "auto";
  return text;
}

class SearchPanel {
  constructor(labeller) {
    this.labeller = labeller;
    this.root = make("form", "cofm-panel");
    this.root.setAttribute("role", "search");
    this.root.setAttribute("aria-label", "Find samples");
    this.text = make("input");
    this.text.type = "search";
    const classes = labeller.classes.map((name, k) => [String(k), name]);
    this.predicted = choices([["", "any"], ...classes]);
    this.order = choices([
      ["pool", "as in the pool"], ["uncertain", "least certain first"],
      ["suspects", "likely wrong labels first"],
    ]);
    const submit = make("button", "", "Find");
    submit.type = "submit";
    this.count = make("p", "cofm-count");
    this.count.setAttribute("role", "status");
    this.hits = make("ol", "cofm-hits");
    this.hits.setAttribute("aria-label", "Samples found");
    this.root.append(
      field("Text", this.text), field("Predicted class", this.predicted),
      field("Order", this.order), submit, this.count, this.hits,
    );
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
    });
  }

  focus() {
    this.text.focus({ preventScroll: true });
  }

  find() {
    const predicted = this.predicted.value === "" ? null : Number(this.predicted.value);
    const message = { type: "search", text: this.text.value, order: this.order.value };
    this.labeller.send({ ...message, predicted }, "Searching …");
  }

  show(hits) {
    const all = `The first ${hits.length}; there may be more.`;
    const found = hits.length === 1 ? "1 sample" : `${hits.length} samples`;
    this.count.textContent = hits.length >= 30 ? all : found;
    this.hits.replaceChildren(
      ...hits.map((hit) => {
        const item = make("li");
        const button = make("button", "cofm-hit");
        button.type = "button";
        button.dataset.id = hit.id;
        button.append(piece(hit));
        const name = (k) => this.labeller.classes[k];
        let state = "no prediction yet";
        if (hit.label !== null) state = `labelled ${name(hit.label)}`;
        else if (hit.guess !== null) state = `predicted: ${name(hit.guess)}`;
        button.append(make("small", "", state));
        button.addEventListener("click", () => this.labeller.open(hit.id));
        item.append(button);
        return item;
      }),
    );
  }

  done(id, label) {
    const button = [...this.hits.querySelectorAll("button")].find((one) => one.dataset.id === id);
    if (button) {
      button.querySelector("small").textContent = `labelled ${this.labeller.classes[label]}`;
      button.focus({ preventScroll: true });
    }
  }
}

class ClassPanel {
  constructor(labeller) {
    this.labeller = labeller;
    this.root = make("form", "cofm-panel");
    this.root.setAttribute("aria-label", "Change the classes");
    const classes = labeller.classes.map((name, k) => [String(k), name]);
    this.do = choices([
      ["add", "add"], ["rename", "rename"], ["merge", "merge"], ["describe", "describe"],
    ]);
    this.which = choices(classes);
    this.into = choices(classes);
    this.name = make("input");
    this.text = make("input", "cofm-wide");
    const submit = make("button", "", "Change");
    submit.type = "submit";
    this.fields = {
      which: field("Class", this.which), into: field("Into", this.into),
      name: field("New name", this.name), text: field("Description", this.text),
    };
    this.hint = make("p", "cofm-hint");
    this.root.append(field("Action", this.do), ...Object.values(this.fields), submit, this.hint);
    this.do.addEventListener("change", () => this.show());
    this.which.addEventListener("change", () => this.show());
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.apply();
    });
    this.show();
  }

  focus() {
    this.do.focus({ preventScroll: true });
  }

  show() {
    const what = this.do.value;
    this.fields.which.hidden = what === "add";
    this.fields.into.hidden = what !== "merge";
    this.fields.name.hidden = what !== "add" && what !== "rename";
    this.fields.text.hidden = what !== "add" && what !== "describe";
    const known = this.labeller.descriptions[Number(this.which.value)];
    if (what === "describe") this.text.value = known || "";
    this.hint.textContent = {
      add: "You can use it from now on.",
      rename: "All its labels are renamed, too.",
      merge: "All its labels move to the other class. Undo brings them back.",
      describe: "For people, and for foundation models that read descriptions.",
    }[what];
  }

  apply() {
    const what = this.do.value;
    const message = { type: "classes", do: what, text: this.text.value };
    if (what !== "add") message.label = Number(this.which.value);
    message.name = what === "merge" ? Number(this.into.value) : this.name.value;
    this.labeller.send(message, "Changing the classes …");
  }
}

class MapPanel {
  constructor(labeller) {
    this.labeller = labeller;
    this.points = [];
    this.at = null;
    this.root = make("div", "cofm-panel");
    const again = make("button", "", "Draw again");
    again.type = "button";
    again.addEventListener("click", () => this.ask());
    this.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.svg.setAttribute("viewBox", "-0.03 -0.03 1.06 1.06");
    this.svg.setAttribute("class", "cofm-map");
    this.svg.setAttribute("tabindex", "0");
    this.svg.setAttribute("role", "application");
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    this.note = make("p", "cofm-hint");
    this.note.setAttribute("role", "status");
    this.legend = make("ul", "cofm-legend");
    this.legend.setAttribute("aria-label", "Colours of the classes");
    this.root.append(this.svg, this.legend, this.note, again);
    this.ask();
  }

  focus() {
    this.svg.focus({ preventScroll: true });
  }

  ask() {
    this.labeller.send({ type: "map" }, "Drawing the map …");
  }

  show(points, nPool) {
    const ns = "http://www.w3.org/2000/svg";
    this.points = points;
    this.at = null;
    const nGiven = points.filter(([, , , label]) => label !== null).length;
    this.svg.setAttribute(
      "aria-label",
      `Map of the pool: ${points.length} of ${nPool} samples, ${nGiven} labelled. ` +
        "Arrow keys move between samples, Enter opens one.",
    );
    this.circles = points.map(([id, x, y, label, guess, asked]) => {
      const circle = document.createElementNS(ns, "circle");
      const place = { cx: x, cy: 1 - y, r: label === null ? 0.006 : 0.011 };
      for (const [name, value] of Object.entries(place)) circle.setAttribute(name, value);
      circle.style.fill = colorOf(label === null ? guess : label);
      if (label !== null) circle.classList.add("cofm-labelled");
      else if (asked) circle.classList.add("cofm-asked");
      circle.addEventListener("click", () => this.labeller.open(id));
      const title = document.createElementNS(ns, "title");
      title.textContent = this.labeller.classes[label === null ? guess : label] ?? "";
      circle.append(title);
      return circle;
    });
    this.svg.replaceChildren(...this.circles);
    this.legend.replaceChildren(
      ...this.labeller.classes.map((name, k) => {
        const item = make("li");
        const dot = make("i");
        dot.style.background = colorOf(k);
        const text = make("span", "", name);
        text.dir = "auto";
        item.append(dot, text);
        return item;
      }),
    );
    this.note.textContent =
      "With an outline: labelled. Others have the colour of their predicted class." +
      (this.labeller.classes.length > COLORS.length
        ? " Some classes share a colour: point at a sample to see its class."
        : "");
  }

  onKey(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const way = ways[event.key];
    if (event.key === "Enter" || event.key === " ") {
      this.labeller.take(event, () => {
        if (this.at !== null) this.labeller.open(this.points[this.at][0]);
      });
    } else if (way && this.points.length) {
      event.preventDefault();
      event.stopPropagation();
      this.go(way);
    }
  }

  // Move to the nearest point in this direction.
  go([dx, dy]) {
    const from = this.at === null ? [null, 0.5, 0.5] : this.points[this.at];
    let best = null;
    let least = Infinity;
    this.points.forEach(([, x, y], k) => {
      const [a, b] = [x - from[1], y - from[2]];
      const along = a * dx + b * dy;
      const distance = Math.hypot(a, b);
      if (k !== this.at && along > 0.7 * distance && distance < least) {
        best = k;
        least = distance;
      }
    });
    if (best === null) return;
    if (this.at !== null) this.circles[this.at].classList.remove("cofm-at");
    this.at = best;
    this.circles[best].classList.add("cofm-at");
    const [, , , label, guess] = this.points[best];
    const name = (k) => this.labeller.classes[k];
    if (label !== null) this.note.textContent = `Labelled ${name(label)}`;
    else this.note.textContent = guess === null ? "No prediction yet" : `Predicted: ${name(guess)}`;
  }
}
