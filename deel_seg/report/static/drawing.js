// Maps as colours.

// Matplotlib's cividis: even for every common kind of colour vision, and in grey.
const CIVIDIS = [
  0x00224e, 0x002e6a, 0x1a386f, 0x32436d, 0x434e6c, 0x535a6d, 0x61656f, 0x6f7073, 0x7d7c78,
  0x8c8878, 0x9b9476, 0xaba072, 0xbcae6c, 0xcdbb63, 0xdec958, 0xf0d846, 0xfee838,
];
const WHITE = [255, 255, 255];

/** A colour as the four bytes of a pixel. */
const packed = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const GREY = packed([204, 204, 204]);
const PAPER = packed(WHITE);
const HATCH = packed([120, 120, 120]);

const rgb = (hex) => [hex >> 16, (hex >> 8) & 255, hex & 255];
const mixed = (a, b, share) => a.map((value, i) => Math.round(value + (b[i] - value) * share));

/** Colour of a share of the scale, 0 to 1. */
function cividis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  return mixed(rgb(CIVIDIS[low]), rgb(CIVIDIS[low + 1]), at - low);
}

const palette = data.palette ?? [];
const fullOf = palette.map(packed);
const paleOf = palette.map((colour) => packed(mixed(colour, WHITE, 0.6)));
const classColour = (id) => fullOf[id % fullOf.length];
const paleColour = (id) => paleOf[id % paleOf.length];

/** Diagonal lines over what is not certified, for those who see no colours; wider in large maps. */
function hatch(picture) {
  const step = Math.max(4, 2 * Math.round(picture.width / 80));
  return (i) => ((i % picture.width) + Math.floor(i / picture.width)) % step < step / 4 ? HATCH : PAPER;
}

/** Fills a canvas, a packed colour for each pixel. */
function paint(canvas, picture, colourOf) {
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(picture.width, picture.height);
  const colours = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < colours.length; i += 1) colours[i] = colourOf(i);
  context.putImageData(pixels, 0, 0);
}

/** Radius above which all pixels have the last colour: few are far inside an object. */
function topRadius(picture) {
  const found = below(picture.maps, () => true);
  const wanted = 0.99 * found[257];
  let level = 0;
  while (level < picture.levelRadius.length - 1 && found[level + 1] < wanted) level += 1;
  return Math.max(picture.levelRadius[level] || 0, 1e-6);
}

/** What does not change with the budget. */
function drawFixed(picture, canvases) {
  const { predicted, labels, level } = picture.maps;
  const canvas = canvases.image;
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture.image, 0, 0, picture.width, picture.height);
  paint(canvases.predicted, picture, (i) => classColour(predicted[i]));
  if (labels) {
    paint(canvases.labels, picture, (i) => (labels[i] === VOID ? GREY : classColour(labels[i])));
  }
  const top = topRadius(picture);
  const colours = picture.levelRadius.map((radius) => packed(cividis(radius / top)));
  paint(canvases.radius, picture, (i) => colours[Math.min(level[i], colours.length - 1)]);
  return top;
}

/** What does. */
function drawBudget(picture, canvases, stop, byLabels) {
  const { predicted, second, labels, level, region } = picture.maps;
  const { cuts } = picture;
  const hatched = hatch(picture);
  const outside = (i) => labels && labels[i] === VOID;
  paint(canvases.alone, picture, (i) => {
    if (outside(i)) return GREY;
    return level[i] >= cuts.alone[stop] ? classColour(predicted[i]) : hatched(i);
  });
  paint(canvases.regions, picture, (i) => {
    if (region[i] === NO_REGION) return paleColour(predicted[i]);
    return region[i] > stop ? classColour(predicted[i]) : hatched(i);
  });
  const cut = byLabels ? cuts.lost_right[stop] : cuts.lost[stop];
  paint(canvases.worst, picture, (i) => {
    if (outside(i)) return GREY;
    const wrong = byLabels && labels[i] !== predicted[i];
    if (wrong) return hatched(i) === HATCH ? HATCH : classColour(predicted[i]);
    return level[i] < cut ? classColour(second[i]) : paleColour(predicted[i]);
  });
}
