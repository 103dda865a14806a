// The ids of objects, written into the picture at their heads.

const SHARE = 36; // of the canvas' height that a line of letters takes
const LEAST = 11; // pixels

// signs: [id, class, x, y] in pixels of the camera's picture, whose [rows, columns] are `size`
export function drawSigns(context, signs, [rows, columns]) {
  if (!signs.length) return;
  const { width, height } = context.canvas;
  const letters = Math.max(LEAST, height / SHARE);
  context.font = `600 ${letters}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.lineJoin = "round";
  context.lineWidth = letters / 4;
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.fillStyle = "white";
  for (const [id, , x, y] of signs) {
    const place = [(x / columns) * width, Math.max(letters, (y / rows) * height)];
    context.strokeText(`#${id}`, ...place);
    context.fillText(`#${id}`, ...place);
  }
}
