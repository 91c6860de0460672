"use strict";
const byId = (id) => document.getElementById(id);
const parsed = (id) => JSON.parse(byId(id).textContent);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- where a number comes from ----
const DATA = parsed("data");
const shown = (value) => (value === null || value === undefined ? "–" : String(value));

function list(pairs) {
  const made = element("dl", { className: "facts" });
  for (const [term, said] of pairs) if (shown(said) !== "" && said !== null && said !== undefined) made.append(element("dt", {}, term), element("dd", {}, String(said)));
  return made;
}

function grid(caption, headings, lines) {
  const head = element("tr"), body = element("tbody");
  for (const heading of headings) head.append(element("th", { scope: "col" }, heading));
  for (const line of lines) {
    const row = element("tr");
    line.forEach((text, i) => row.append(i ? element("td", {}, shown(text)) : element("th", { scope: "row" }, shown(text))));
    body.append(row);
  }
  const box = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption });
  box.append(element("table", {}, element("caption", {}, caption), element("thead", {}, head), body));
  return box;
}

// Rows beside each other: what differs as a table, what they share under it.
function compared(caption, rows, leading) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const first = leading.filter((name) => names.includes(name));
  const differ = names.filter((name) => !first.includes(name) && rows.some((row) => row[name] !== rows[0][name]));
  const same = names.filter((name) => !first.includes(name) && !differ.includes(name));
  return [grid(caption, [...first, ...differ], rows.map((row) => [...first, ...differ].map((name) => row[name]))), list(same.map((name) => [name, rows[0][name]]))];
}

function lines(caption, file, numbers, column) {
  const said = (folds) => folds.map((fold) => (fold === null ? "–" : Number(fold.toPrecision(4)))).join(" ");
  const rows = numbers.map((number) => ({ line: number, ...DATA.lines[file][number] })).map((row) => (row.folds ? { ...row, folds: said(row.folds) } : row));
  return compared(caption, rows, ["line", "seed", column, "n", "cell", "folds"]);
}

function runs(cells) {
  const columns = ["cell", "seed", "seconds", "peak_memory_mib", "parameters", "commit", "dirty", "encoded_by", "measured_by", "lock_sha256", "device", "processor", "blas", "torch"];
  const short = (text) => (typeof text === "string" ? text.replace(/[0-9a-f]{40}/, (commit) => commit.slice(0, 12)) : text);
  const known = cells.map((cell) => DATA.runs[cell]).filter(Boolean).map((run) => Object.fromEntries(columns.map((name) => [name, short(name === "commit" ? run.commit || "none" : run[name])])));
  const made = known.length ? compared("The trainings behind it (runs.csv)", known, ["cell", "seed", "seconds", "peak_memory_mib"]) : [];
  for (const index of new Set(cells.map((cell) => DATA.configuration_of[cell]).filter((index) => index !== undefined)))
    made.push(element("details", {}, element("summary", {}, `Resolved configuration of ${DATA.configurations[index].method.name}; with the seed, its hash is the cell`), element("pre", { tabIndex: 0 }, JSON.stringify(DATA.configurations[index], null, 1))));
  return made;
}

function origin(group, table, row, heading) {
  const of = (numbers) => numbers.map((number) => DATA.lines[group.file][number].cell).filter(Boolean);
  const how = `${group.how.charAt(0).toUpperCase()}${group.how.slice(1)}.`;
  if (!group.lines.length) return [element("p", {}, how), list([["from", group.file], ["what", group.column]])];
  const parts = [element("p", {}, how), ...lines(`Lines of ${group.file}`, group.file, group.lines, group.column)];
  if (group.minus.length) parts.push(...lines("Minus these lines", group.file, group.minus, group.column));
  if (!(group.column === "chance" && group.file === "rows.csv")) parts.push(...runs([...new Set([...of(group.lines), ...of(group.minus)])]));
  if (table && group.file !== "published.csv") parts.push(element("p", {}, "To check its files against their hashes: ", element("code", {}, `paramrel trace ${table} "${row}" "${heading}" --preset ${DATA.preset}`)));
  return parts;
}

function show(button) {
  const cell = button.closest("td"), table = button.closest("table");
  const heading = table.tHead.rows[0].cells[cell.cellIndex].textContent;
  const row = [...cell.parentElement.querySelectorAll("th")].map((head) => head.textContent).filter(Boolean).join(" / ");
  const of = table.dataset.table ? row : `${table.caption.textContent} / ${row}`;
  byId("origin-title").textContent = `${button.textContent}: ${of}, ${heading}`;
  byId("origin-body").replaceChildren(...origin(DATA.groups[button.dataset.group], table.dataset.table, row, heading));
  enter(button);
  byId("origin-of").showModal();
}

// One number of a table is on the way of the Tab key: the last that was used.
function enter(button) {
  for (const other of button.closest("table").querySelectorAll(".number")) other.tabIndex = other === button ? 0 : -1;
  button.focus();
}

for (const table of document.querySelectorAll("table.numbers")) {
  const buttons = [...table.querySelectorAll(".number")];
  buttons.forEach((button, i) => (button.tabIndex = i ? -1 : 0));
  table.addEventListener("click", (event) => { const button = event.target.closest(".number"); if (button) show(button); });
  table.addEventListener("keydown", (event) => {
    const button = event.target.closest(".number");
    if (!button) return;
    const at = (b) => [b.closest("tr").rowIndex, b.closest("td").cellIndex], [row, column] = at(button);
    const inColumn = buttons.filter((b) => at(b)[1] === column);
    const next = {
      ArrowRight: () => buttons[buttons.indexOf(button) + 1], ArrowLeft: () => buttons[buttons.indexOf(button) - 1],
      ArrowDown: () => inColumn.find((b) => at(b)[0] > row), ArrowUp: () => inColumn.findLast((b) => at(b)[0] < row),
      Home: () => buttons.find((b) => at(b)[0] === row), End: () => buttons.findLast((b) => at(b)[0] === row),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    const to = next();
    if (to) enter(to);
  });
}

// ---- latent explorer: frames of a sprite are source, own rendering, one per s, then each latent's stops ----
const FRAMES = parsed("frames"), SHOWN_FIRST = 8;
let method, source, sprite;

function draw(canvas, index, text) {
  const [width, height] = source.side;
  canvas.width = width; canvas.height = height; canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.setAttribute("aria-label", text);
  canvas.getContext("2d").drawImage(sprite, (index % method.columns) * width, Math.floor(index / method.columns) * height, width, height, 0, 0, width, height);
}

function view(index, text) {
  byId("x-now").textContent = text;
  draw(byId("x-canvas"), index, `${method.method}, image ${source.label}: ${text}`);
}

const atStop = (stop) => -3 + (6 * stop) / (method.stops - 1);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(1);

function activate(input) {
  for (const other of byId("explore").querySelectorAll(".slider")) other.classList.toggle("active", other.contains(input));
}

function moveLatent(input, output, k) {
  const stop = Number(input.value), text = `z ${method.dims[k]} at ${signed(atStop(stop))} std`;
  for (const other of byId("explore").querySelectorAll(".latent")) if (other !== input) rest(other);
  rest(byId("x-s"));
  output.textContent = `${signed(atStop(stop))} std`;
  input.setAttribute("aria-valuetext", `${signed(atStop(stop))} standard deviations`);
  activate(input);
  view(2 + method.along.length + k * method.stops + stop, text);
}

function moveAlong() {
  const input = byId("x-s"), index = Number(input.value), text = `from z at s = ${method.along[index]}`;
  for (const other of byId("explore").querySelectorAll(".latent")) rest(other);
  byId("x-s-out").textContent = `s = ${method.along[index]}`;
  input.setAttribute("aria-valuetext", `flow time ${method.along[index]}`);
  activate(input);
  view(2 + index, text);
}

// A slider that does not count stands where the image's own code is.
function rest(input) {
  const output = byId(input.id + "-out");
  if (input.id === "x-s") {
    input.value = method.along.length - 1;
    output.textContent = method.along.length ? "s = 1, own" : "";
    input.setAttribute("aria-valuetext", "flow time 1, its own code");
    return;
  }
  const k = Number(input.dataset.k), own = source.own[k];
  input.value = Math.round(((Math.max(-3, Math.min(3, own)) + 3) / 6) * (method.stops - 1));
  output.textContent = `own, ${signed(own)} std`;
  input.setAttribute("aria-valuetext", `its own, ${signed(own)} standard deviations`);
}

function latent(k) {
  const id = `x-z${k}`, input = element("input", { type: "range", id, min: 0, max: method.stops - 1, className: "latent" });
  const output = element("output", { id: `${id}-out` });
  input.dataset.k = k;
  output.htmlFor.add(id);
  input.addEventListener("input", () => moveLatent(input, output, k));
  const label = element("label", { htmlFor: id, title: `changes the image by ${(100 * method.change[k]).toFixed(1)} % of white, −3 to +3 std` }, `z ${method.dims[k]}`);
  return element("p", { className: "slider" }, label, input, output);
}

function own() {
  for (const input of byId("explore").querySelectorAll(".latent")) rest(input);
  rest(byId("x-s"));
  activate(null);
  view(1, "from its own code");
}

function chooseSource() {
  source = method.sources[byId("x-source").selectedIndex];
  sprite = new Image();
  sprite.onload = () => { draw(byId("x-canvas-source"), 0, `source: ${source.label}`); draw(byId("x-canvas-own"), 1, `${method.method}: from its own code`); own(); };
  sprite.src = source.uri;
}

function options(select, names) {
  select.replaceChildren(...names.map((name) => element("option", {}, name)));
}

function chooseMethod() {
  method = FRAMES.filter((frame) => frame.data === byId("x-data").value)[byId("x-method").selectedIndex];
  options(byId("x-source"), method.sources.map((one, i) => `${i + 1}: ${one.label}`));
  source = method.sources[0];
  byId("x-along").hidden = !method.along.length;
  byId("x-s").max = Math.max(0, method.along.length - 1);
  byId("x-why").hidden = Boolean(method.along.length);
  byId("x-why").textContent = `No slider for s: ${method.why}.`;
  byId("x-dims").replaceChildren(...method.dims.slice(0, SHOWN_FIRST).map((_, k) => latent(k)));
  byId("x-rest").replaceChildren(...method.dims.slice(SHOWN_FIRST).map((_, k) => latent(SHOWN_FIRST + k)));
  const more = byId("x-more");
  more.hidden = method.dims.length <= SHOWN_FIRST;
  more.firstElementChild.textContent = `${method.dims.length - SHOWN_FIRST} more latents`;
  chooseSource();
}

function chooseData() {
  const before = byId("x-method").value, names = FRAMES.filter((frame) => frame.data === byId("x-data").value).map((frame) => frame.method);
  options(byId("x-method"), names);
  byId("x-method").selectedIndex = names.includes(before) ? names.indexOf(before) : names.length - 1;
  chooseMethod();
}

if (FRAMES.length) {
  byId("explore").hidden = false;
  options(byId("x-data"), [...new Set(FRAMES.map((frame) => frame.data))]);
  byId("x-data").addEventListener("change", chooseData);
  byId("x-method").addEventListener("change", chooseMethod);
  byId("x-source").addEventListener("change", chooseSource);
  byId("x-s").addEventListener("input", moveAlong);
  byId("x-own").addEventListener("click", own);
  chooseData();
}
