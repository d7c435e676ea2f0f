"use strict";
// Texts of the study are only ever set as textContent; nothing of it is read as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const result = { assay: "answers", study: data.study, person: 0, consent: false, answers: [], checks: {}, seconds: {} };

function make(tag, text, className) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}

function random(seed) { // mulberry32
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(list, draw) {
  const found = list.slice();
  for (let i = found.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}

function colour(value, most) {
  const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
  return value > 0 ? `rgba(0, 114, 178, ${0.75 * share})` : `rgba(213, 94, 0, ${0.75 * share})`;
}

function drawRow(row, arm, changed) {
  const box = make("div", undefined, "row");
  const values = arm && row.values[arm];
  if (row.image) {
    const picture = make("img");
    picture.src = row.image;
    picture.alt = "the image";
    box.append(picture);
    if (arm && row.maps[arm]) {
      const map = make("img");
      map.src = row.maps[arm];
      map.alt = "the parts that count";
      box.append(map);
    }
    return box;
  }
  const most = values ? Math.max(...values.map(Math.abs)) : 0;
  if (!data.names.length) {
    const text = make("p", undefined, "text");
    row.cells.forEach((word, i) => {
      const span = make("span", word);
      if (values) span.style.backgroundColor = colour(values[i], most);
      text.append(span, " ");
    });
    box.append(text);
    return box;
  }
  const table = make("table");
  row.cells.forEach((cell, i) => {
    const line = make("tr");
    line.append(make("th", data.names[i]), make("td", cell));
    if (changed) line.append(make("td", changed[i], changed[i] === cell ? "same" : "changed"));
    if (values) {
      const place = make("td", undefined, "bar");
      const bar = make("span");
      bar.style.width = `${most > 0 ? (100 * Math.abs(values[i])) / most : 0}px`;
      bar.style.backgroundColor = colour(values[i] > 0 ? 1 : -1, 1);
      place.append(bar, ` ${values[i] > 0 ? "+" : ""}${values[i]}`);
      line.append(place);
    }
    table.append(line);
  });
  box.append(table);
  return box;
}

function show(...parts) {
  main.replaceChildren(...parts);
  window.scrollTo(0, 0);
}

function button(text, action) {
  const one = make("button", text);
  one.type = "button";
  one.addEventListener("click", action);
  return one;
}

function legend(row, arm) {
  if (!arm) return "";
  const line = make("p", "The bars or colours say what counted: blue for ", "hint");
  line.append(make("strong", data.classes[row.explained]), ", orange against it.");
  return line;
}

function start() {
  const number = make("input");
  number.type = "number";
  number.min = "1";
  number.max = "999999";
  number.id = "person";
  const label = make("label", "The number that you were given: ");
  label.htmlFor = "person";
  const agree = make("input");
  agree.type = "checkbox";
  agree.id = "agree";
  const yes = make("label", "I have read this and agree.");
  yes.htmlFor = "agree";
  const wrong = make("p", "", "wrong");
  const line = make("p");
  line.append(agree, " ", yes);
  const asked = make("p");
  asked.append(label, number);
  show(make("h1", data.title), make("p", data.consent, "consent"), line, asked, wrong, button("Begin", () => {
    const person = Number(number.value);
    if (!agree.checked || !Number.isInteger(person) || person < 1 || person > 999999) {
      wrong.textContent = "Please agree, and type your number (1 or more).";
      return;
    }
    result.person = person;
    result.consent = true;
    run(person);
  }));
}

function run(person) {
  const cell = (person - 1) % (2 * data.arms.length);
  const arm = data.arms[cell % data.arms.length];
  const turn = Math.floor(cell / data.arms.length);
  const shown = arm === "none" ? "" : arm;
  const draw = random(data.seed + person * 2654435761);
  const steps = [];
  const teach = (withArm, text) => shuffled(data.teaching, draw).forEach((row, i) =>
    steps.push((next) => learn(row, withArm, `${text} (${i + 1} of ${data.teaching.length})`, next)));
  const test = (phase, block) => {
    const rows = shuffled(block, draw);
    const check = Math.floor(draw() * (rows.length + 1));
    rows.forEach((row, i) => {
      if (i === check) steps.push((next) => attention(phase, next));
      steps.push((next) => ask(phase, row, phase === "after" ? shown : "", i + 1, rows.length, next));
    });
    if (check === rows.length) steps.push((next) => attention(phase, next));
  };
  teach("", "See what the model says");
  test("before", data.blocks[turn % 2]);
  teach(shown, "See what the model says, once more");
  test("after", data.blocks[(turn + 1) % 2]);
  const go = (place) => (place < steps.length ? steps[place](() => go(place + 1)) : finish());
  go(0);
}

function learn(row, arm, text, next) {
  const said = make("p", "The model says: ");
  said.append(make("strong", data.classes[row.output]));
  show(make("h2", text), drawRow(row, arm), said, legend(row, arm), button("Next", next));
}

function choices(action) {
  const box = make("div", undefined, "choices");
  data.classes.forEach((name, i) => box.append(button(name, () => action(i))));
  return box;
}

function ask(phase, row, arm, place, of, next) {
  const begun = Date.now();
  const parts = [make("h2", `What will the model say? (${place} of ${of})`)];
  const isChanged = data.kind === "counterfactual";
  parts.push(drawRow(row, isChanged ? arm : "", isChanged ? row.changed : undefined));
  if (isChanged) {
    const said = make("p", "For the first column the model says: ");
    said.append(make("strong", data.classes[row.output]));
    parts.push(said, make("p", "What will it say for the second column?"), legend(row, arm));
  }
  parts.push(choices((guess) => {
    result.answers.push({ phase: phase, row: row.key, guess: guess, milliseconds: Date.now() - begun });
    next();
  }));
  show(...parts);
}

function attention(phase, next) {
  const line = make("p", "This is no question about the model. To show that you read this, please choose: ");
  line.append(make("strong", data.classes[data.checks[phase]]));
  show(make("h2", "A check"), line, choices((guess) => {
    result.checks[phase] = guess;
    next();
  }));
}

function finish() {
  const text = JSON.stringify(result, null, 1);
  const link = make("a", "Download your answers");
  link.className = "download";
  link.download = `answers-${result.person}.json`;
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const copy = make("textarea", text);
  copy.readOnly = true;
  copy.rows = 8;
  show(make("h1", "Thank you"), make("p", "Nothing was sent. Please download the file and pass it on."), link, copy);
}

start();
