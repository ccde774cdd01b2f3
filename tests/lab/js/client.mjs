// Turns an order of the lab into what a real matrix-js-sdk client does, the same under Node and in a page.
// It never logs out and never deletes a store.

import { buildCryptoDiagReport, counted, rageshake, said } from "./diag.mjs";
import * as sdk from "matrix-js-sdk";
import about from "matrix-js-sdk/package.json" with { type: "json" };

const LOOK_EVERY = 100;

let client;

async function until(what, holds, seconds) {
    const end = Date.now() + seconds * 1000;
    while (!holds()) {
        if (Date.now() > end) throw new Error(`${what} did not come in ${seconds} s`);
        await new Promise((wake) => setTimeout(wake, LOOK_EVERY));
    }
}

/** A session on the store that is there; where none is, new keys are made. */
async function open({ homeserver, user, device, token, round }) {
    client = sdk.createClient({
        baseUrl: homeserver,
        userId: user,
        deviceId: device,
        accessToken: token,
    });
    await client.initRustCrypto();
    // Synapse gives its old answer to the same first question of the same device: a limit of its own makes
    // it another question.
    await client.startClient({ initialSyncLimit: 5 + (round % 40) });
    await until("the first sync", () => client.isInitialSyncComplete(), 30);
    return client.getCrypto().getVersion();
}

/** Joins a call in the room; its delayed leave is kept alive by the SDK's own membership manager. */
async function call({ room, restart }) {
    await until("the room", () => client.getRoom(room), 20);
    const session = client.matrixRTC.getRoomSession(client.getRoom(room));
    const transport = { type: "livekit", livekit_service_url: "https://sfu.lab.local" };
    session.joinRoomSession([transport], undefined, {
        delayedLeaveEventDelayMs: 8000,
        delayedLeaveEventRestartMs: restart,
        delayedLeaveEventRestartLocalTimeoutMs: 2000,
    });
    await until("the membership", () => session.isJoined(), 10);
}

export async function carryOut(order) {
    switch (order.do) {
        case "open":
            return open(order);
        case "call":
            return call(order);
        case "count":
            await until(`${order.count} × ${order.ke}`, () => counted(order.ke) >= order.count, order.seconds);
            return counted(order.ke);
        case "said":
            await until(`“${order.words}”`, () => said(new RegExp(order.words)), order.seconds);
            return true;
        case "report":
            return { report: buildCryptoDiagReport(client, about.version), rageshake: rageshake() };
        default:
            throw new Error(`no such order: ${order.do}`);
    }
}
