// One picture at a budget.

const PANELS = ["image", "labels", "predicted", "radius", "alone", "regions", "worst"];

/** A share in percent, rounded down; the quotient of whole numbers below 2^43 cannot cross one. */
function percent(part, whole) {
  return whole ? `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)} %` : "–";
}

/** A float32 in four decimals, rounded down: the product is exact. */
function roundedDown(radius) {
  if (radius >= 1000) return String(Math.floor(radius));
  const places = radius < 0.1 ? 6 : 4;
  return (Math.floor(radius * 10 ** places) / 10 ** places).toFixed(places);
}

function about(value) {
  if (value === 0 || !Number.isFinite(value)) return value === 0 ? "0" : "–";
  if (Math.abs(value) < 1e-4) return value.toExponential(1);
  return value.toFixed(Math.max(0, 1 - Math.floor(Math.log10(Math.abs(value)))));
}

function explorer() {
  const element = (id) => document.getElementById(id);
  const slider = element("budget");
  if (!slider) return () => {};
  const canvases = Object.fromEntries(PANELS.map((id) => [id, element(`canvas-${id}`)]));
  const called = (id) => data.names[id] ?? `class ${id}`;
  const root = document.documentElement;
  let picture = null;
  let wanted = 0;

  const stop = () => Number(slider.value);
  const byLabels = () => picture.labelled && element("against").querySelector("[value=labels]").checked;

  function put(id, text, value) {
    element(id).textContent = text;
    element(id).dataset.value = value;
  }

  function tellBudget() {
    const eps = data.stops[stop()];
    const { height, width, channels } = picture;
    const rms = eps / Math.sqrt(height * width * channels);
    const levels = (change) => about((255 * change) / data.range);
    const text =
      `eps = ${eps}, the l2 norm over ${height} × ${width} × ${channels} values. Spread over all of ` +
      `them: per-pixel rms ${about(rms)}, which is ${levels(rms)} of 255 levels. ` +
      `On a single value: ${levels(eps)} levels${255 * eps > 255 * data.range ? ", more than it has" : ""}.`;
    element("budget-text").textContent = text;
    slider.setAttribute("aria-valuetext", `eps ${eps}, rms ${about(rms)}, ${levels(rms)} levels`);
    document.querySelectorAll("button.preset").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.stop) === stop()));
    });
  }

  function tellNumbers() {
    const at = stop();
    const { counts } = picture;
    const { counted } = counts;
    put("number-alone", `${percent(counts.alone[at], counted)} (${counts.alone[at]} of ${counted} pixels)`, counts.alone[at]);
    const kept = counted - counts.lost[at];
    put("number-crs", `≥ ${percent(kept, counted)} (${kept} of ${counted} pixels)`, kept);
    element("box-crpa").hidden = !picture.labelled;
    if (picture.labelled) {
      const right = counts.right - counts.lostRight[at];
      put("number-crpa", `≥ ${percent(right, counted)} (${right} of ${counted}; without attack ${counts.right})`, right);
    } else {
      put("number-crpa", "", "");
    }
    put("number-regions", `${counts.regionsHeld[at]} of ${counts.regions}`, counts.regionsHeld[at]);
    element("caption-worst").textContent = byLabels()
      ? "In full colour: pixels that are lost, in the class that came second. Pale: pixels that stay right. Hatched: wrong already."
      : "In full colour: pixels that are lost, in the class that came second. Pale: pixels that keep their class.";
    for (const id of ["alone", "regions", "worst"]) {
      const number = { alone: "number-alone", regions: "number-regions", worst: byLabels() ? "number-crpa" : "number-crs" }[id];
      canvases[id].setAttribute("aria-label", `${element(`panel-${id}`).querySelector("h3").textContent}, ${element(number).textContent}, at eps ${data.stops[at]}`);
    }
    picture.regions.forEach((region, index) => {
      element("regions-table").rows[index].cells[4].textContent = region[4] > data.stops[at] ? "yes" : "no";
    });
    element("scale-mark").style.left = `${100 * Math.min(data.stops[at] / picture.top, 1)}%`;
  }

  function tellPixel() {
    const row = Math.min(Math.max(Math.floor(Number(element("pixel-row").value)), 0), picture.height - 1);
    const column = Math.min(Math.max(Math.floor(Number(element("pixel-column").value)), 0), picture.width - 1);
    const i = row * picture.width + column;
    const { predicted, second, labels, level } = picture.maps;
    const radius = picture.levelRadius[Math.min(level[i], picture.levelRadius.length - 1)];
    const label = labels ? `; label: ${labels[i] === VOID ? "void" : called(labels[i])}` : "";
    const held = level[i] >= picture.cuts.alone[stop()] ? "certified alone" : "not certified";
    put("pixel-text", `predicted: ${called(predicted[i])}, then ${called(second[i])}${label}; radius at least ${roundedDown(radius)}; ${held} at this eps.`, radius);
  }

  function tell() {
    tellBudget();
    tellNumbers();
    tellPixel();
    drawBudget(picture, canvases, stop(), byLabels());
    root.dataset.shown = `${wanted}/${stop()}`;
  }

  function tellScale() {
    const bar = element("scale-bar");
    paint(bar, { width: 256, height: 1 }, (i) => packed(cividis(i / 255)));
    const parts = [0, 0.25, 0.5, 0.75, 1].map((share) => {
      const span = document.createElement("span");
      span.textContent = (share === 1 ? "≥ " : "") + about(share * picture.top) + (share === 1 ? " (l2)" : "");
      return span;
    });
    element("scale-text").replaceChildren(...parts);
  }

  function tellClasses() {
    const { predicted, second, labels } = picture.maps;
    const seen = new Set(predicted);
    second.forEach((id) => seen.add(id));
    if (labels) labels.forEach((id) => id !== VOID && seen.add(id));
    const total = picture.height * picture.width;
    const numbers = new Map();
    predicted.forEach((id) => numbers.set(id, (numbers.get(id) ?? 0) + 1));
    const items = Array.from(seen).sort((a, b) => a - b).map((id) => {
      const item = document.createElement("li");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = `rgb(${palette[id % palette.length].join(",")})`;
      item.append(swatch, `${called(id)}: ${percent(numbers.get(id) ?? 0, total)} predicted`);
      return item;
    });
    element("legend").replaceChildren(...items);
  }

  function tellRegions() {
    const rows = picture.regions.map(([id, pixels, row, column, radius]) => {
      const line = document.createElement("tr");
      for (const text of [called(id), pixels, `${row}, ${column}`, roundedDown(radius), ""]) {
        line.insertCell().textContent = text;
      }
      return line;
    });
    element("regions-table").replaceChildren(...rows);
  }

  async function show(number, jump) {
    wanted = number;
    element("picture").value = String(number);
    if (jump) element("explorer").scrollIntoView();
    try {
      const found = await open(number);
      if (wanted !== number) return;
      picture = found;
      const labelsBefore = element("against").hidden;
      element("against").hidden = !picture.labelled;
      if (labelsBefore && picture.labelled) element("against").querySelector("[value=labels]").checked = true;
      element("panel-labels").hidden = !picture.labelled;
      element("picture-note").textContent = picture.note ? `On the way to the network: ${picture.note}.` : "";
      element("pixel-row").max = picture.height - 1;
      element("pixel-column").max = picture.width - 1;
      picture.top = drawFixed(picture, canvases);
      canvases.predicted.setAttribute("aria-label", `Prediction of ${picture.name}; its classes stand in the list below`);
      tellScale();
      tellClasses();
      tellRegions();
      tell();
      element("explorer-error").hidden = true;
      for (const id of ["numbers", "panels"]) element(id).hidden = false;
    } catch (error) {
      // Better nothing than something wrong.
      picture = null;
      element("explorer-error").textContent = `This picture is not shown. ${error.message || "Its maps are damaged."}`;
      element("explorer-error").hidden = false;
      for (const id of ["numbers", "panels"]) element(id).hidden = true;
      element("legend").replaceChildren();
      element("regions-table").replaceChildren();
      element("pixel-text").textContent = "";
      element("budget-text").textContent = "";
      root.dataset.shown = `${number}/refused`;
    }
  }

  const ifOpen = (action) => () => picture && action();
  slider.addEventListener("input", ifOpen(tell));
  element("against").addEventListener("input", ifOpen(tell));
  element("pixel-form").addEventListener("input", ifOpen(tellPixel));
  document.querySelectorAll("button.preset").forEach((button) => {
    button.addEventListener("click", ifOpen(() => {
      slider.value = button.dataset.stop;
      tell();
    }));
  });
  const step = (by) => () => {
    const count = element("picture").options.length;
    show((wanted + by + count) % count);
  };
  element("previous").addEventListener("click", step(-1));
  element("next").addEventListener("click", step(1));
  element("picture").addEventListener("input", () => show(Number(element("picture").value)));
  element("large").addEventListener("input", () => element("panels").classList.toggle("large", element("large").checked));
  for (const id of ["explorer-controls", "pixel-form"]) {
    element(id).addEventListener("submit", (event) => event.preventDefault());
  }
  for (const canvas of Object.values(canvases)) {
    canvas.addEventListener("pointermove", (event) => {
      if (!picture) return;
      const box = canvas.getBoundingClientRect();
      element("pixel-row").value = Math.floor(((event.clientY - box.top) / box.height) * picture.height);
      element("pixel-column").value = Math.floor(((event.clientX - box.left) / box.width) * picture.width);
      tellPixel();
    });
  }
  element("against").hidden = true;
  show(0);
  return show;
}

table(explorer());
