// The page's side of MaskPainter (masks.py says what travels). Everything is in the picture's own pixels.

const TINT = "#ff2d78";

/** An element with its properties and children. */
function make(tag, style, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.style.cssText = style;
  element.append(...children);
  return element;
}

/** The bytes of a traitlet; they come as a DataView. */
function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** One bit a pixel, the first in the highest bit: as numpy.packbits has it. */
function pack(inside) {
  const bits = new Uint8Array((inside.length + 7) >> 3);
  inside.forEach((value, n) => { if (value) bits[n >> 3] |= 128 >> (n & 7); });
  return bits;
}

/** The borders between regions as an SVG path. */
function borders(place, height, width) {
  let path = "";
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const here = place(y * width + x);
      if (x + 1 < width && here !== place(y * width + x + 1)) path += `M${x + 1} ${y}v1`;
      if (y + 1 < height && here !== place((y + 1) * width + x)) path += `M${x} ${y + 1}h1`;
    }
  }
  return path;
}

function render({ model, el }) {
  const [height, width] = model.get("_shape");
  const labels = model.get("_labels");
  const places = model.get("_places");
  const place = (pixel) => places.getUint16(2 * pixel, true);
  const byRegions = labels.length > 0;

  const fill = "position: absolute; inset: 0; width: 100%; height: 100%; margin: 0;";
  const photo = make("img", `${fill} max-width: none`, { alt: "the picture under the mask", draggable: false });
  photo.onload = () => URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(new Blob([model.get("_picture")], { type: "image/jpeg" }));
  const canvas = make("canvas", `${fill} opacity: 0.5; image-rendering: pixelated`, { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = pen.strokeStyle = TINT;
  pen.lineCap = pen.lineJoin = "round";
  const board = make(
    "div", `position: relative; width: 100%; aspect-ratio: ${width} / ${height}; cursor: crosshair; user-select: none`,
    { tabIndex: 0, role: "application", ariaLabel: "mask over the picture: arrow keys move the cross, Space marks" },
    photo, canvas,
  );
  board.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take the keys
  const info = make("span", "font: 13px sans-serif; white-space: nowrap");
  const tools = make("div", "display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center; margin: 6px 0");
  el.append(make("div", `width: ${model.get("_width")}px; max-width: 100%`, {}, board, tools));

  /** Whether each pixel is in the mask, as the model has it. */
  function inside() {
    const all = new Uint8Array(height * width);
    if (byRegions) {
      const taken = new Set(model.get("chosen"));
      const takes = labels.map((label) => taken.has(label));
      return all.map((_, n) => takes[place(n)]);
    }
    const bits = bytesOf(model.get("_painted"));
    return all.map((_, n) => (bits[n >> 3] >> (7 - (n & 7))) & 1);
  }

  function draw() {
    const mask = inside();
    pen.globalCompositeOperation = "source-over";
    pen.fillRect(0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height);
    mask.forEach((value, n) => { pixels.data[4 * n + 3] = value ? 255 : 0; });
    pen.putImageData(pixels, 0, 0);
    const share = mask.reduce((sum, value) => sum + value, 0) / mask.length;
    const what = byRegions ? `${model.get("chosen").length} of ${labels.length} regions, ` : "";
    info.textContent = `${what}${Math.round(100 * share)} %`;
  }

  function send(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  /** The pointer's place in pixels of the picture; it may lie outside while a stroke goes on. */
  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  let mark; // what a click or Space does at a point, in pixels of the picture
  const clear = make("button", "", { textContent: "Clear", type: "button", className: "jupyter-button" });
  tools.append(clear);
  if (byRegions) {
    clear.onclick = () => send("chosen", []);
    const lines = `<path d="${borders(place, height, width)}" fill="none" vector-effect="non-scaling-stroke"`;
    board.insertAdjacentHTML("beforeend", `
      <svg viewBox="0 0 ${width} ${height}" style="${fill} pointer-events: none">
        ${lines} stroke="#000" stroke-opacity="0.35" stroke-width="2.5"/>
        ${lines} stroke="#fff" stroke-width="1"/>
      </svg>`);
    board.onclick = (event) => mark(at(event));
    mark = (point) => {
      const [x, y] = point.map(Math.floor);
      const label = labels[place(Math.min(y, height - 1) * width + Math.min(x, width - 1))];
      const chosen = model.get("chosen");
      const without = chosen.filter((other) => other !== label);
      send("chosen", without.length < chosen.length ? without : [...chosen, label].sort((a, b) => a - b));
    };
  } else {
    clear.onclick = () => send("_painted", new DataView(new ArrayBuffer((height * width + 7) >> 3)));
    tools.prepend(brush());
  }

  /** The brush: its controls, and what a stroke does. */
  function brush() {
    const longer = Math.max(height, width);
    const size = make("input", "width: 110px; margin: 0", {
      type: "range", min: 1, max: Math.ceil(longer / 3), value: Math.ceil(longer / 12), ariaLabel: "size of the brush",
    });
    size.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take the arrow keys
    const eraser = make("input", "margin: 0 4px 0 0", { type: "checkbox" });
    let last = null;

    function stroke(next) {
      pen.globalCompositeOperation = eraser.checked ? "destination-out" : "source-over";
      pen.lineWidth = size.value;
      pen.beginPath();
      pen.moveTo(...(last ?? [next[0] - 0.01, next[1]])); // a line without any length leaves no mark
      pen.lineTo(...next);
      pen.stroke();
      last = next;
    }

    function end() {
      if (!last) return;
      last = null;
      const { data } = pen.getImageData(0, 0, width, height);
      const mask = new Uint8Array(height * width).map((_, n) => data[4 * n + 3] >= 128);
      send("_painted", new DataView(pack(mask).buffer));
      draw(); // without the soft edges of the stroke
    }

    board.style.touchAction = "none"; // a finger paints and does not scroll
    board.onpointerdown = (event) => {
      if (event.button !== 0) return;
      board.setPointerCapture(event.pointerId);
      stroke(at(event));
    };
    board.onpointermove = (event) => { if (last) stroke(at(event)); };
    board.onpointerup = board.onpointercancel = end;
    mark = (point) => {
      stroke(point);
      end();
    };
    const label = "display: flex; align-items: center; font: 13px sans-serif";
    const controls = make("div", "display: flex; gap: 12px; align-items: center");
    controls.append(make("label", `${label}; gap: 6px`, {}, "Brush", size), make("label", label, {}, eraser, "Erase"));
    return controls;
  }

  keyboard();

  /** A cross that the arrow keys move, finely with Shift, and that Space or Enter uses; it is seen with the focus. */
  function keyboard() {
    const longer = Math.max(height, width);
    const point = [width / 2, height / 2];
    const cross = make("div", `position: absolute; width: 12px; height: 12px; margin: -8px 0 0 -8px; display: none;
      border: 2px solid #fff; outline: 2px solid #000; border-radius: 50%; pointer-events: none`);
    board.append(cross);
    const show = () => {
      cross.style.left = `${(100 * point[0]) / width}%`;
      cross.style.top = `${(100 * point[1]) / height}%`;
      cross.style.display = board.matches(":focus-visible") ? "block" : "none";
    };
    board.onfocus = board.onblur = show;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    board.onkeydown = (event) => {
      if (event.key in moves) {
        const far = event.shiftKey ? 1 : Math.ceil(longer / 40);
        [width, height].forEach((side, n) => {
          point[n] = Math.min(side - 0.5, Math.max(0.5, point[n] + far * moves[event.key][n]));
        });
        show();
      } else if (event.key === " " || event.key === "Enter") mark(point);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
  }

  tools.append(info);
  draw();
  const changes = ["change:chosen", "change:_painted"];
  changes.forEach((change) => model.on(change, draw));
  return () => changes.forEach((change) => model.off(change, draw));
}

export default { render };
