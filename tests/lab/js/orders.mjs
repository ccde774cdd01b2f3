// Turns lines of JSON on the standard input into orders, and their ends into lines of JSON on the standard
// output. When the input closes, the lab is gone and so are we.

import { createInterface } from "node:readline";

const LONGEST_LIFE = 5 * 60_000;

export async function take(carryOut, close) {
    setTimeout(() => process.exit(3), LONGEST_LIFE).unref();
    for await (const line of createInterface({ input: process.stdin })) {
        let answer;
        try {
            answer = { ok: (await carryOut(JSON.parse(line))) ?? null };
        } catch (error) {
            answer = { error: error.stack ?? String(error) };
        }
        process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
    await close();
    process.exit(0);
}
