// The viewer of a case. Image and labels are blended voxel by voxel on one canvas, so that they cannot come apart; one
// pixel of the canvas is one voxel, and its size on the screen follows from the distances in mm.

import { greyOf, leastWidth } from "./grey.js";

const TYPES = {
  int16: Int16Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array, uint8: Uint8Array,
  int8: Int8Array, uint32: Uint32Array, float64: Float64Array,
};
/** Share of the height of the window that a picture of size 1 takes at most. */
const TALL = 0.72;
/** Pixels of a drag that change the width of the window by its whole, and wheel units that are one slice. */
const DRAG_PX = 300;
const WHEEL_STEP = 60;

const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const root = byId("viewer");
const canvas = byId("slice");
const picture = byId("picture");
const base = root ? `/cases/${root.dataset.case}/viewer` : "";

let scene;
const slices = new Map();
const state = {
  at: 0, opacity: 45, outlines: false, centre: 0, width: 1, function: "LINEAR", preset: 0, hidden: new Set(), veiled: false,
  pointer: null,
};

async function asked(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Error(told?.error?.message ?? `the page answered ${answer.status}`);
}

function failed(error) {
  const place = byId("failed");
  place.textContent = `The images cannot be shown: ${error.message}.`;
  place.hidden = false;
}

async function values(kind, index, type) {
  const answer = await asked(`${base}/${scene.key}/${kind}/${index}`);
  return new TYPES[type](await answer.arrayBuffer());
}

/** The image and the labels of a slice, fetched once. */
function sliceOf(index) {
  if (!slices.has(index)) {
    const labels = scene.label_type ? values("labels", index, scene.label_type) : Promise.resolve(null);
    const both = Promise.all([values("image", index, scene.image_type), labels]);
    slices.set(index, both.then(([image, numbers]) => ({ image, labels: numbers })));
  }
  return slices.get(index);
}

/** Whether a voxel touches, above, below or beside it, one of another segment. */
function isBorder(labels, at) {
  const { columns, rows } = scene;
  const column = at % columns;
  const row = (at - column) / columns;
  const own = labels[at];
  return column === 0 || row === 0 || column === columns - 1 || row === rows - 1 || labels[at - 1] !== own
    || labels[at + 1] !== own || labels[at - columns] !== own || labels[at + columns] !== own;
}

function paint({ image, labels }) {
  const drawn = new ImageData(scene.columns, scene.rows);
  const colours = new Map(scene.segments.map((segment) => [segment.number, segment.colour]));
  const share = state.veiled ? 0 : Math.min(1, (state.opacity / 100) * (state.outlines ? 2 : 1)); // lines are thin
  for (let at = 0, out = 0; at < image.length; at += 1, out += 4) {
    const grey = greyOf(image[at], state, scene.lowest_is_white);
    const number = labels ? labels[at] : 0;
    const seen = number && share && !state.hidden.has(number) && (!state.outlines || isBorder(labels, at));
    const colour = seen ? colours.get(number) : null;
    for (let part = 0; part < 3; part += 1) {
      drawn.data[out + part] = colour ? grey * (1 - share) + colour[part] * share : grey;
    }
    drawn.data[out + 3] = 255;
  }
  canvas.getContext("2d").putImageData(drawn, 0, 0);
}

const nameOf = (number) => scene.segments.find((segment) => segment.number === number)?.name ?? "no structure";

/** Where a voxel lies in the patient: LPS in mm (PS3.3 C.7.6.2.1.1). */
function placeOf([row, column]) {
  const index = [state.at, row, column, 1];
  return scene.affine.slice(0, 3).map((line) => line.reduce((sum, factor, axis) => sum + factor * index[axis], 0));
}

function toldPlace(voxel) {
  const [x, y, z] = placeOf(voxel);
  const along = (value, plus, minus) => `${value < 0 ? minus : plus} ${Math.abs(value).toFixed(1)}`;
  return `${along(x, "L", "R")}, ${along(y, "P", "A")}, ${along(z, "H", "F")} mm`;
}

function tellPointer(slice, byKeys) {
  const place = byId("pointed");
  place.setAttribute("aria-live", byKeys ? "polite" : "off");
  const cross = byId("cross");
  cross.hidden = !(state.pointer && byKeys);
  if (!state.pointer) {
    place.textContent = "";
    return;
  }
  const [row, column] = state.pointer;
  const at = row * scene.columns + column;
  const number = slice.labels ? slice.labels[at] : 0;
  const segment = scene.segments.find((one) => one.number === number);
  const volume = segment?.volume_mm3 == null ? "" : `, ${Math.round(segment.volume_mm3)} mm\u00b3`;
  place.textContent = `${nameOf(number)}${volume}; value ${slice.image[at]}; ${toldPlace(state.pointer)}`;
  cross.style.left = `${((column + 0.5) / scene.columns) * canvas.offsetWidth}px`;
  cross.style.top = `${((row + 0.5) / scene.rows) * canvas.offsetHeight}px`;
}

function tellSlice(slice) {
  const present = new Set(slice.labels ?? []);
  const names = scene.segments.filter((segment) => present.has(segment.number)).map((segment) => segment.name);
  byId("in-slice").textContent = names.length ? `In this slice: ${names.join(", ")}.` : "No structure in this slice.";
  for (const box of document.querySelectorAll(".viewer input.show")) {
    box.closest("li").classList.toggle("absent", !present.has(Number(box.value)));
  }
}

function tellControls() {
  const number = `${state.at + 1} of ${scene.slices}`;
  byId("at").value = state.at + 1;
  byId("at").setAttribute("aria-valuetext", number);
  byId("at-shown").textContent = number;
  byId("opacity").value = state.opacity;
  byId("opacity-shown").textContent = `${state.opacity} %`;
  byId("outlines").checked = state.outlines;
  byId("preset").value = state.preset;
  byId("centre").value = Math.round(state.centre * 10) / 10;
  byId("width").value = Math.round(state.width * 10) / 10;
  const middle = [(scene.rows - 1) / 2, (scene.columns - 1) / 2];
  const [x] = placeOf(middle);
  byId("corner").textContent = `${number}, ${x < 0 ? "R" : "L"} ${Math.abs(x).toFixed(1)} mm`;
}

/** Show the state; what has changed meanwhile is shown by the call that changed it. */
async function show({ byKeys = false } = {}) {
  const { at } = state;
  tellControls();
  const slice = await sliceOf(at);
  if (at !== state.at) return;
  paint(slice);
  tellSlice(slice);
  tellPointer(slice, byKeys);
  canvas.dataset.slice = at;
  canvas.dataset.shown = [at, state.opacity, state.outlines, state.centre, state.width, state.veiled, [...state.hidden]].join(" ");
}

const change = (changes, how) => {
  Object.assign(state, changes);
  show(how).catch(failed);
};
const goTo = (at) => change({ at: clamp(at, 0, scene.slices - 1) });

function takePreset(preset) {
  const { centre, width, function: voiLutFunction } = scene.windows[preset];
  change({ preset, centre, width, function: voiLutFunction });
}

function resize() {
  const [, rowMm, columnMm] = scene.spacing_mm;
  const shape = (scene.columns * columnMm) / (scene.rows * rowMm);
  const zoom = Number(byId("zoom").value);
  const width = Math.min(picture.parentElement.clientWidth, window.innerHeight * TALL * shape);
  canvas.style.width = `${(width * zoom) / 100}px`;
  canvas.style.height = `${(width * zoom) / 100 / shape}px`;
  picture.style.maxWidth = `${Math.max(width, 1)}px`;
  picture.style.maxHeight = `${width / shape}px`;
  byId("zoom-shown").textContent = `${zoom} %`;
}

function movePointer(rows, columns) {
  const [row, column] = state.pointer ?? [Math.floor(scene.rows / 2), Math.floor(scene.columns / 2)];
  const pointer = [clamp(row + rows, 0, scene.rows - 1), clamp(column + columns, 0, scene.columns - 1)];
  change({ pointer }, { byKeys: true });
}

const KEYS = {
  ArrowUp: () => goTo(state.at - 1),
  ArrowDown: () => goTo(state.at + 1),
  PageUp: () => goTo(state.at - 1),
  PageDown: () => goTo(state.at + 1),
  Home: () => goTo(0),
  End: () => goTo(scene.slices - 1),
  ArrowLeft: () => change({ opacity: clamp(state.opacity - 5, 0, 100) }),
  ArrowRight: () => change({ opacity: clamp(state.opacity + 5, 0, 100) }),
  o: () => change({ veiled: !state.veiled }),
  l: () => change({ outlines: !state.outlines }),
  w: () => takePreset((Number(state.preset) + 1 || 0) % scene.windows.length),
  Escape: () => change({ pointer: null }),
};
const STEP = 4;
const MOVES = { ArrowUp: [-STEP, 0], ArrowDown: [STEP, 0], ArrowLeft: [0, -STEP], ArrowRight: [0, STEP] };

function listenToKeys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const move = event.shiftKey ? MOVES[event.key] : undefined;
  const act = move ? () => movePointer(...move) : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function listenToMouse() {
  let turned = 0;
  let drag = null;
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    turned += event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_STEP;
    const steps = Math.trunc(turned / WHEEL_STEP);
    turned -= steps * WHEEL_STEP;
    if (steps) goTo(state.at + steps);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    drag = { x: event.clientX, y: event.clientY, centre: state.centre, width: state.width };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * scene.rows);
    const column = Math.floor(((event.clientX - box.left) / box.width) * scene.columns);
    const inside = row >= 0 && row < scene.rows && column >= 0 && column < scene.columns;
    const changes = { pointer: inside ? [row, column] : null };
    if (drag) {
      const factor = 2 ** ((event.clientX - drag.x) / (DRAG_PX / 2));
      const centre = drag.centre + ((event.clientY - drag.y) / DRAG_PX) * drag.width;
      Object.assign(changes, { preset: "own", centre, width: Math.max(leastWidth(state), drag.width * factor) });
    }
    change(changes);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { if (!drag) change({ pointer: null }); });
}

function listenToControls() {
  const on = (id, act) => byId(id).addEventListener("input", (event) => act(event.target));
  on("at", (target) => goTo(Number(target.value) - 1));
  on("opacity", (target) => change({ opacity: Number(target.value), veiled: false }));
  on("outlines", (target) => change({ outlines: target.checked }));
  on("preset", (target) => takePreset(Number(target.value)));
  for (const id of ["centre", "width"]) {
    byId(id).addEventListener("change", ({ target }) => {
      const value = target.valueAsNumber;
      if (Number.isFinite(value)) change({ [id]: id === "width" ? Math.max(leastWidth(state), value) : value, preset: "own" });
      else tellControls();
    });
  }
  on("zoom", resize);
  for (const box of document.querySelectorAll(".viewer input.show")) {
    box.addEventListener("change", () => {
      state.hidden[box.checked ? "delete" : "add"](Number(box.value));
      change({});
    });
  }
  for (const button of document.querySelectorAll(".viewer button.go")) {
    const segment = scene.segments.find(({ number }) => number === Number(button.value));
    button.addEventListener("click", () => goTo(segment.largest_at));
  }
  byId("reset").addEventListener("click", () => begin());
}

/** Go back to how the page was when it came. */
function begin() {
  for (const box of document.querySelectorAll(".viewer input.show")) box.checked = true;
  state.hidden.clear();
  byId("zoom").value = 100;
  resize();
  Object.assign(state, { at: scene.first, opacity: 45, outlines: false, veiled: false, pointer: null });
  takePreset(0);
}

async function start() {
  scene = await (await asked(`${base}/scene.json`)).json();
  root.hidden = false;
  listenToControls();
  listenToMouse();
  picture.addEventListener("keydown", listenToKeys);
  window.addEventListener("resize", resize);
  begin();
  const others = [...Array(scene.slices).keys()].sort((a, b) => Math.abs(a - scene.first) - Math.abs(b - scene.first));
  for (const index of others) await sliceOf(index);
}

if (root) start().catch(failed);
