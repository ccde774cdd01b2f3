// A matrix-js-sdk client in headless Chromium: the page and, as a proxy does, the homeserver are served on one
// loopback port; its requests are recorded as a HAR file, and its console as DevTools saves it. A store is forgotten as an evicting
// browser does it: IndexedDB goes, localStorage with the session stays, and the page is loaded again.

import { build } from "esbuild";
import { chromium } from "playwright-core";
import { appendFileSync, readFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { take } from "./orders.mjs";

const [folder, executablePath, homeserver, address] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/** Hands a request on to the homeserver with the client's address, as a proxy does. */
function proxy(request, response) {
    const { method, url } = request;
    const headers = { ...request.headers, "x-forwarded-for": address };
    const onward = forward(new URL(url, homeserver), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
}

async function serve() {
    const bundle = await build({
        entryPoints: [join(here, "page.mjs")],
        bundle: true,
        format: "esm",
        target: "es2022",
        define: { global: "globalThis" },
        write: false,
        logLevel: "error",
    });
    const crypto = "node_modules/@matrix-org/matrix-sdk-crypto-wasm/pkg/matrix_sdk_crypto_wasm_bg.wasm";
    const wasm = readFileSync(join(here, crypto));
    const files = {
        "/": ["text/html", "<!doctype html><title>lab</title><script type=module src=/client.js></script>"],
        "/favicon.ico": ["image/x-icon", ""],
        "/client.js": ["text/javascript", bundle.outputFiles[0].text],
        "/pkg/matrix_sdk_crypto_wasm_bg.wasm": ["application/wasm", wasm],
    };
    const server = createServer((request, response) => {
        if (request.url.startsWith("/_matrix/")) {
            proxy(request, response);
            return;
        }
        const file = files[request.url];
        response.writeHead(file ? 200 : 404, { "content-type": file?.[0] ?? "text/plain" });
        response.end(file?.[1]);
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    return `http://127.0.0.1:${server.address().port}/`;
}

const url = await serve();
const context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath,
    headless: true,
    args: FLAGS,
    recordHar: { path: join(folder, "page.har"), content: "embed", urlFilter: /\/_matrix\// },
});
const page = context.pages()[0];
page.on("console", (message) => {
    const { url, lineNumber } = message.location();
    const file = url.split("/").pop() || "VM";
    appendFileSync(join(folder, "console.log"), `${file}:${lineNumber + 1} ${message.text()}\n`);
});
page.on("pageerror", (error) => process.stderr.write(`${error.stack}\n`));

async function load() {
    await page.goto(url);
    await page.waitForFunction(() => globalThis.lab, undefined, { timeout: 30_000 });
}

const tell = (order) => page.evaluate((order) => globalThis.lab(order), order);
let closed = false;

async function close() {
    if (!closed) {
        closed = true;
        await context.close();
    }
}

async function carryOut(order) {
    switch (order.do) {
        case "open": {
            const known = await page.evaluate(() => localStorage.getItem("session"));
            const session = { ...(known ? JSON.parse(known) : order), round: order.round, homeserver: url };
            await page.evaluate((text) => localStorage.setItem("session", text), JSON.stringify(session));
            return tell(session);
        }
        case "forget":
            // Loaded again first: a store is in use for as long as its page lives.
            await load();
            return page.evaluate(async () => {
                for (const { name } of await indexedDB.databases()) {
                    await new Promise((done, failed) => {
                        const request = indexedDB.deleteDatabase(name);
                        request.onsuccess = done;
                        request.onerror = () => failed(request.error);
                    });
                }
            });
        case "close":
            return close();
        default:
            return tell(order);
    }
}

await load();
await take(carryOut, close);
