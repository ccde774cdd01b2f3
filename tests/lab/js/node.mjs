// A matrix-js-sdk client under Node. Its IndexedDB lives in memory, so that a new process with the same
// session is a device whose store was evicted. The console goes to the standard error: the standard output is
// the lab's.

import "fake-indexeddb/auto";
import { Console } from "node:console";
import { take } from "./orders.mjs";

globalThis.console = new Console(process.stderr, process.stderr);
// The SDK asks for it, and Node has it from version 22 on.
Promise.withResolvers ??= function () {
    let resolvers;
    const promise = new this((resolve, reject) => (resolvers = { resolve, reject }));
    return { promise, ...resolvers };
};
// As the proxy before a homeserver says it.
const address = process.argv[2];
const plain = globalThis.fetch;
globalThis.fetch = (url, options = {}) => {
    const headers = { ...options.headers, "x-forwarded-for": address };
    return plain(url, { ...options, headers });
};
const { carryOut } = await import("./client.mjs");

await take((order) => (order.do === "close" ? undefined : carryOut(order)), () => {});
