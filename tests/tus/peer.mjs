// The server to compare with, on a port of its own choosing, which it tells on its first line.
// Usage: node peer.mjs <folder> <greatest size of an upload in bytes>
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [folder, maxSize] = process.argv.slice(2);
const datastore = new FileStore({ directory: folder, expirationPeriodInMilliseconds: 24 * 3600 * 1000 });
const server = new Server({ path: "/uploads", datastore, maxSize: Number(maxSize), relativeLocation: true });
const listening = server.listen(0, "127.0.0.1", () => console.log(listening.address().port));
process.stdin.on("end", () => process.exit()).resume();
