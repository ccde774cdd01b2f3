// A matrix-js-sdk client in a page: what stands in the browser's script.

import { carryOut } from "./client.mjs";

globalThis.lab = carryOut;
