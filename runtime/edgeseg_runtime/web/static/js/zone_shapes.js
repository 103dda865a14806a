// Zones over the picture, as SVG. Points are shares of the picture's width and height.

const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#4cc2ff", "#ffb54c", "#3ddc97", "#ff7ad9", "#b79cff", "#ffe66d", "#ff8a65", "#7be0e0"];

export const colorOf = (index) => COLORS[index % COLORS.length];

// zones: [{name, points, color}]; draft: points of one that is being drawn; corners: whether they can be grabbed
export function drawZones(svg, zones, draft, corners) {
  const { clientWidth: width, clientHeight: height } = svg;
  svg.setAttribute("viewBox", `0 0 ${width || 1} ${height || 1}`);
  const place = ([x, y]) => [x * width, y * height];
  const shapes = zones.flatMap((zone, index) => {
    const points = zone.points.map(place);
    const [x, y] = middle(points);
    const label = node("text", { x, y, "text-anchor": "middle", "dominant-baseline": "middle" });
    label.textContent = zone.name;
    return [
      group(zone.color, [node("polygon", { points: points.join(" ") }), label, ...(corners ? knobs(points, index) : [])]),
    ];
  });
  if (draft) {
    const points = draft.map(place);
    shapes.push(group("#ffffff", [node("polyline", { points: points.join(" ") }), ...knobs(points, "draft")]));
  }
  svg.replaceChildren(...shapes);
}

function knobs(points, zone) {
  return points.map(([x, y], corner) => {
    const knob = node("circle", { cx: x, cy: y, r: corner === 0 && zone === "draft" ? 9 : 7 });
    Object.assign(knob.dataset, { zone, corner });
    return knob;
  });
}

function middle(points) {
  const sum = points.reduce(([x, y], [right, down]) => [x + right, y + down], [0, 0]);
  return sum.map((value) => value / points.length);
}

function group(color, children) {
  const element = node("g", {});
  element.style.color = color;
  element.append(...children);
  return element;
}

function node(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
