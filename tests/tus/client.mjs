// tus-js-client, told on its standard input what to do (pause, resume, terminate), telling on its standard output what
// happens, one JSON object a line. Usage: node client.mjs <options as JSON>
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Upload } from "tus-js-client";

const { file, endpoint, uploadUrl, chunkSize, token, metadata } = JSON.parse(process.argv[2]);
const tell = (event, more) => console.log(JSON.stringify({ event, ...more }));

const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadUrl,
  metadata,
  chunkSize: chunkSize ?? Infinity,
  headers: { Authorization: `Bearer ${token}` },
  retryDelays: Array(100).fill(200),
  onUploadUrlAvailable: () => tell("url", { url: upload.url }),
  onChunkComplete: (_, accepted) => tell("accepted", { bytes: accepted }),
  onShouldRetry: (error) => {
    const status = error.originalResponse?.getStatus() ?? 0;
    tell("interrupted", { status });
    return status < 400 || status >= 500 || status === 409;
  },
  onSuccess: () => tell("success"),
  onError: (error) =>
    tell("error", { status: error.originalResponse?.getStatus() ?? 0, body: error.originalResponse?.getBody() ?? "" }),
});

const doing = {
  pause: async () => (await upload.abort(), tell("paused")),
  resume: async () => upload.start(),
  terminate: async () => (await upload.abort(true), tell("terminated")),
};
createInterface({ input: process.stdin }).on("line", (line) => doing[line]()).on("close", () => process.exit());
upload.start();
