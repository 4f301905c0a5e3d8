"use strict";
// Pictures lie in the page as JSON and packed maps, and are unpacked when they are looked at.

const data = JSON.parse(document.getElementById("data").textContent);
const VOID = 255;
const NO_REGION = 255;

/** Bytes of a base64 text. */
function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** What was packed by zlib; rejects where a bit was changed. */
async function unpacked(bytes) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the maps (it has no DecompressionStream).");
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The maps of a picture by name; classes of two bytes are joined. */
function planesOf(picture, bytes) {
  const { height, width } = picture;
  const size = height * width;
  if (bytes.length !== size * picture.planes.length) throw new Error("The maps have another size.");
  const maps = {};
  picture.planes.forEach((name, index) => {
    const plane = bytes.subarray(index * size, (index + 1) * size);
    if (picture.differences[index]) {
      for (let start = 0; start < size; start += width) {
        for (let i = start + 1; i < start + width; i += 1) plane[i] = (plane[i] + plane[i - 1]) & 255;
      }
    }
    maps[name] = plane;
  });
  for (const name of ["predicted", "second"]) {
    const high = maps[`${name}High`];
    if (high) maps[name] = Uint16Array.from(maps[name], (low, i) => low + 256 * high[i]);
  }
  return maps;
}

/** Number of pixels of each level below every level. */
function below(maps, chosen) {
  const found = new Float64Array(258);
  for (let i = 0; i < maps.level.length; i += 1) if (chosen(i)) found[maps.level[i] + 1] += 1;
  for (let level = 1; level < found.length; level += 1) found[level] += found[level - 1];
  return found;
}

/** Everything that is counted in the maps of a picture, at each budget. */
function countsOf(picture, maps) {
  const { labels, predicted } = maps;
  const counts = (i) => !labels || labels[i] !== VOID;
  const all = below(maps, counts);
  const counted = all[257];
  const found = {
    counted,
    alone: picture.cuts.alone.map((cut) => counted - all[cut]),
    lost: picture.cuts.lost.map((cut) => all[cut]),
    regionPixelsHeld: data.stops.map(() => 0),
  };
  const held = new Float64Array(257);
  for (const level of maps.region) if (level !== NO_REGION) held[level] += 1;
  for (let stop = data.stops.length - 1, sum = held[data.stops.length]; stop >= 0; stop -= 1) {
    found.regionPixelsHeld[stop] = sum;
    sum += held[stop];
  }
  if (labels) {
    const right = below(maps, (i) => counts(i) && labels[i] === predicted[i]);
    found.right = right[257];
    found.lostRight = picture.cuts.lost_right.map((cut) => right[cut]);
  }
  return found;
}

/** Refuses maps that do not give the counts of the library. */
function check(picture, found) {
  for (const [name, values] of Object.entries(found)) {
    if (JSON.stringify(values) !== JSON.stringify(picture.counts[name])) {
      throw new Error(`The maps give other numbers than the library (${name}).`);
    }
  }
}

/** A picture with its maps, checked. */
async function open(number) {
  const picture = JSON.parse(document.getElementById(`picture-${number}`).textContent);
  const maps = planesOf(picture, await unpacked(bytesOf(picture.data)));
  check(picture, countsOf(picture, maps));
  const image = new Image();
  image.src = `data:image/jpeg;base64,${picture.jpeg}`;
  await image.decode();
  return { ...picture, maps, image };
}
