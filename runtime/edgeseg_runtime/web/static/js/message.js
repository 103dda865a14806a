// A picture's message: uint32 length of the header, header as JSON, JPEG, mask (uint8 class indices, deflated).

export async function readFrame(buffer) {
  const headerBytes = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerBytes)));
  const jpegAt = 4 + headerBytes;
  const maskAt = jpegAt + header.jpeg_bytes;
  const jpeg = new Blob([new Uint8Array(buffer, jpegAt, header.jpeg_bytes)], { type: "image/jpeg" });
  const packed = new Uint8Array(buffer, maskAt);
  const [bitmap, mask] = await Promise.all([
    createImageBitmap(jpeg),
    packed.length ? inflate(packed) : null,
  ]);
  return { ...header, bitmap, mask };
}

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
