// One page, two calls: GET v1/model for the facts, POST v1/predict for an answer.

const $ = (id) => document.getElementById(id);
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const bytes = (n) => (n < 1e3 ? `${n} bytes` : n < 1e6 ? `${Math.round(n / 1e3)} kB` : `${(n / 1e6).toFixed(1)} MB`);
const POLL = 4000; // milliseconds between looks while no model is ready

let model = null;   // what v1/model said, null while none is ready
let latest = 0;     // the newest upload: an older one's answer is not shown
let url = null;     // of the preview
let again = 0;      // the timer of the next look for a model

class Refused extends Error {}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The service does not answer. Is it still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const error = new Refused(body?.detail ?? `The service answered with status ${response.status}.`);
  error.status = response.status;
  throw error;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// `spoken` is for screen readers only: what others see in the panel.
function say(state, text, spoken = "") {
  document.body.dataset.state = state;
  $("said").textContent = text;
  $("spoken").textContent = spoken;
}

function showError(text) {
  $("error").textContent = text ?? "";
  $("error").hidden = !text;
}

// What the answer's panel shows: "empty", "unready" or "result".
function panel(name) {
  for (const id of ["empty", "unready", "result"]) $(id).hidden = id !== name;
}

// A sentence with `commands` in backquotes, as text and code elements.
function showReason(sentence) {
  const parts = sentence.split("`").map((part, i) => (i % 2 ? element("code", "", part) : part));
  $("reason").replaceChildren(...parts);
}

function showName({ name, version, alias, run_id }) {
  $("model-name").textContent = name;
  $("model-version").textContent = `${version} (${alias})`;
  $("run-id").textContent = run_id;
}

function showModel(facts) {
  $("model").hidden = facts === null;
  $("synthetic").hidden = !facts?.data.synthetic;
  if (facts === null) return;
  showName(facts);
  $("network").textContent = facts.network;
  $("data").textContent = facts.data.name;
}

// Name the model that gave an answer: it may have been swapped since the page was loaded, or since the answer.
async function showModelOf(answered) {
  const same = () => answered.version === model?.version && answered.run_id === model?.run_id;
  if (!same()) model = await call("v1/model").catch(() => model);
  if (same()) return showModel(model);
  showName(answered);
  for (const id of ["network", "data"]) $(id).textContent = "unknown";
  $("synthetic").hidden = true;
}

async function lookForModel() {
  clearTimeout(again);
  try {
    model = await call("v1/model");
    showModel(model);
    if ($("result").hidden) panel("empty");
    say("ready", "Model ready");
  } catch (error) {
    model = null;
    showModel(null);
    panel("unready");
    showReason(error.message);
    say("unready", error.status === 503 ? "No model is ready" : "No answer");
    again = setTimeout(lookForModel, POLL);
  }
}

function probabilityRow(name, answer) {
  const p = answer.probabilities[name];
  const item = element("li", answer.labels.includes(name) ? "chosen" : "");
  const row = element("div", "row");
  row.append(element("span", "name", name), element("span", "value", percent(p)));
  const track = element("div", "track");
  track.setAttribute("aria-hidden", "true");
  track.style.setProperty("--p", p);
  track.append(element("div", "fill"));
  item.append(row, track);
  if (Object.hasOwn(answer.thresholds, name)) {
    const threshold = answer.thresholds[name];
    track.append(element("div", "mark"));
    const scale = element("div", "scale");
    scale.append(element("span", "", `threshold ${percent(threshold)}`));
    for (const part of [track, scale]) part.style.setProperty("--t", threshold);
    item.append(scale);
  }
  return item;
}

// What was found, in words: the label, or the list of findings.
function found({ task, labels, label }) {
  return task === "multilabel" ? labels.join(", ") || "No finding" : label;
}

// How it was decided.
function reason({ task, classes, label, labels, positive, threshold }) {
  if (task === "multilabel") {
    const how = labels.length === 1 ? "reaches its own threshold" : "reach their own thresholds";
    return `${labels.length || "None"} of ${classes.length} classes ${how}.`;
  }
  if (task === "ordinal") {
    const place = classes.indexOf(label) + 1;
    return `The most probable grade: number ${place} of ${classes.length}, from ${classes[0]} to ${classes.at(-1)}.`;
  }
  if (threshold === null) return "The most probable class.";
  return `The probability of ${positive} ${label === positive ? "reaches" : "stays below"} the model's threshold.`;
}

const list = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);

// How sure the answer is, by the set of classes that cannot be ruled out; nothing where it must not be used.
function sureness(answer) {
  if (answer.refused) return "";
  const blind = "This model cannot tell strange images and refuses none: look whether this is one of those it is for.";
  return answer.strangeness_limit === null ? `${howSure(answer)} ${blind}` : howSure(answer);
}

function howSure({ task, possible, undecided, coverage }) {
  const share = Math.round(100 * coverage);
  const often = `Of images like those of its validation, at least ${share} % keep their true class.`;
  if (task === "multilabel") {
    if (undecided.length === 0) return `Each class is confirmed or ruled out. ${often}`;
    return `Not sure: ${undecided.join(", ")} can be neither confirmed nor ruled out. Have a person look.`;
  }
  if (undecided.length === 0) return `No other class is left. ${often}`;
  if (possible.length === 0) return "Not sure: none of the classes is plausible. Have a person look.";
  return `Not sure: it may be ${list(undecided)}. Have a person look. ${often}`;
}

// What was found comes first, then the more probable; grades stay in their order.
function ordered({ task, classes, labels, probabilities }) {
  if (task === "ordinal") return classes;
  return classes.toSorted((a, b) => labels.includes(b) - labels.includes(a) || probabilities[b] - probabilities[a]);
}

function showAnswer(answer) {
  $("label").textContent = found(answer);
  $("label").classList.toggle("several", answer.labels.length > 2);
  $("decision").textContent = reason(answer);
  $("refused").hidden = !answer.refused;
  $("result").classList.toggle("strange", answer.refused);
  $("sure").textContent = sureness(answer);
  $("sure").classList.toggle("unsure", answer.undecided.length > 0);
  $("sure").hidden = answer.refused;
  $("probabilities").classList.toggle("many", answer.classes.length > 4);
  $("probabilities").replaceChildren(...ordered(answer).map((name) => probabilityRow(name, answer)));
  $("request").textContent = `request ${answer.request_id}`;
  panel("result");
}

function preview(file) {
  if (url) URL.revokeObjectURL(url);
  url = URL.createObjectURL(file);
  const image = $("preview");
  const size = bytes(file.size);
  $("caption").textContent = `${file.name} · ${size}`;
  $("again").hidden = false;
  image.hidden = true;
  $("invite").hidden = false;
  $("drop").classList.remove("filled");
  image.onload = () => {
    image.alt = `Preview of ${file.name}`;
    image.hidden = false;
    $("invite").hidden = true;
    $("drop").classList.add("filled");
    image.classList.toggle("tiny", image.naturalWidth < 190 && image.naturalHeight < 190);
    $("caption").textContent = `${file.name} · ${image.naturalWidth} × ${image.naturalHeight} · ${size}`;
  };
  image.onerror = () => { $("caption").textContent = `${file.name} · ${size} · no preview`; };
  image.src = url;
}

async function classify(file) {
  const mine = ++latest;
  showError(null);
  preview(file);
  if (model && file.size > model.accepts.max_bytes) {
    panel("empty");
    say("ready", "Not classified");
    const limit = model.accepts.max_bytes.toLocaleString("en");
    return showError(`The image is too large. Received: ${file.size.toLocaleString("en")} bytes, at most ${limit} are allowed.`);
  }
  say("busy", `Classifying ${file.name}`);
  const form = new FormData();
  form.append("image", file);
  try {
    const answer = await call("v1/predict", { method: "POST", body: form });
    if (mine !== latest) return;
    showAnswer(answer);
    const sure = answer.label === null ? "" : `, ${percent(answer.probabilities[answer.label])}`;
    const strange = answer.refused ? $("refused").textContent : sureness(answer);
    say("ready", "Classified", `: ${found(answer)}${sure}. ${strange}`);
    await showModelOf(answer.model);
  } catch (error) {
    if (mine !== latest) return;
    if (!(error instanceof Refused)) throw error;
    if (error.status === 503) return lookForModel();
    panel("empty");
    showError(error.message);
    say(model ? "ready" : "unready", "Not classified");
  }
}

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) classify(file);
  event.target.value = ""; // the same file may be chosen again
});

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // elsewhere, the browser would open the file
    $("drop").classList.toggle("over", kind.startsWith("drage") || kind === "dragover");
    const file = kind === "drop" ? event.dataTransfer.files[0] : null;
    if (file) classify(file);
  });
}

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) classify(file);
});

lookForModel();
