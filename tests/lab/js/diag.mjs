// Turns what a client writes to its console into the crypto diagnostics report of the runbook (§5), and into
// a log as rageshake keeps it. As the card it stands for, it only listens: every line goes on to the console
// unchanged. Import it before the SDK.

const KEPT = 200;
const LINES = 20_000;
const SIGNATURES = [
    ["already exists", "KE-1"],
    ["missing key at index", "KE-2"],
    ["io.element.call.encryption_keys", "KE-2"],
    ["MissingKey", "KE-2"],
    ["DecryptionError", "KE-3"],
    ["update_delayed_event", "KE-4"],
    ["delayed event", "KE-4"],
];

const entries = [];
const lines = [];

function words(part) {
    if (typeof part === "string") return part;
    if (part instanceof Error) return `${part.name}: ${part.message}`;
    try {
        return JSON.stringify(part) ?? String(part);
    } catch {
        return String(part);
    }
}

function heard(level, parts) {
    const message = parts.map(words).join(" ");
    const now = new Date();
    if (lines.length < LINES) {
        lines.push(`${now.toISOString()} ${level.charAt(0).toUpperCase()} ${message}\n`);
    }
    if (level !== "warn" && level !== "error") return;
    const found = SIGNATURES.find(([signature]) => message.includes(signature));
    if (!found) return;
    const [signature, ke] = found;
    entries.push({ ts: now.getTime(), level, ke, signature, message });
    if (entries.length > KEPT) entries.shift();
}

/** Wraps the console; a second call changes nothing. */
export function installCryptoDiagLog() {
    if (console.diagnosed) return;
    for (const level of ["debug", "log", "info", "warn", "error"]) {
        const original = console[level].bind(console);
        console[level] = (...parts) => {
            heard(level === "log" ? "info" : level, parts);
            original(...parts);
        };
    }
    console.diagnosed = true;
}

/** How many entries of a KE there are. */
export function counted(ke) {
    return entries.filter((entry) => entry.ke === ke).length;
}

/** Whether a line of the console matches. */
export function said(pattern) {
    return lines.some((line) => pattern.test(line));
}

/** The report that a user downloads. */
export function buildCryptoDiagReport(mx, sdkVersion) {
    const kes = ["KE-1", "KE-2", "KE-3", "KE-4"];
    const report = {
        generatedAt: new Date().toISOString(),
        sdkVersion,
        deviceId: mx.getDeviceId(),
        userId: mx.getUserId(),
        syncState: mx.getSyncState(),
        cryptoReady: Boolean(mx.getCrypto()),
        counts: Object.fromEntries(kes.map((ke) => [ke, counted(ke)])),
        entries: entries.slice(),
    };
    return JSON.stringify(report, null, 2);
}

/** All that the console was told, as rageshake keeps it. */
export function rageshake() {
    return lines.join("");
}

installCryptoDiagLog();
