// A person's client as strict as Element with "only signed devices": matrix-js-sdk with its crypto written in Rust.
//
// Reads one command a line on stdin, as JSON, and writes one answer a line on stdout:
//   {"id": 1, "do": "send", "room": "!r", "body": "hello"}  ->  {"id": 1, "ok": true, "value": "$event"}
// The first line it writes is {"ready": true} (or what kept it from that). Where matrix-js-sdk lies is told by
// WEAVEBOT_TEST_NODE_PEER (the folder that holds its node_modules), who it is by the one argument, as JSON.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const quiet = () => {};
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, getChild: () => logger };
for (const level of ["log", "info", "warn", "debug", "error", "trace"]) console[level] = quiet;

const library = join(process.env.WEAVEBOT_TEST_NODE_PEER, "node_modules", "matrix-js-sdk", "lib");
const load = (name) => import(pathToFileURL(join(library, name)).href);
const { createClient, ClientEvent, MatrixEventEvent } = await load("index.js");
const { OnlySignedDevicesIsolationMode, AllDevicesIsolationMode } = await load("crypto-api/index.js");

const who = JSON.parse(process.argv[2]); // {homeserver, user, device, token, password, strict}
const client = createClient({
  baseUrl: who.homeserver,
  userId: who.user,
  deviceId: who.device,
  accessToken: who.token,
  logger,
});
const seen = new Map(); // event id -> event
let waiting = []; // {matches, resolve}

function told(event) {
  const shown = {
    event: event.getId(),
    room: event.getRoomId(),
    sender: event.getSender(),
    type: event.getType(),
    content: event.getContent(),
    encrypted: event.isEncrypted(),
    failed: event.isDecryptionFailure() ? String(event.decryptionFailureReason) : null,
    redacted: event.isRedacted(),
  };
  return shown;
}

function notice(event) {
  seen.set(event.getId(), event);
  waiting = waiting.filter((one) => !one.tried(event));
}

client.on(ClientEvent.Event, notice);
client.on(MatrixEventEvent.Decrypted, notice);

function matches(wanted, event) {
  const one = told(event);
  const text = String(one.content.body ?? "");
  return (
    (!wanted.room || one.room === wanted.room) &&
    (!wanted.sender || one.sender === wanted.sender) &&
    (!wanted.type || one.type === wanted.type) &&
    (!wanted.event || one.event === wanted.event) &&
    (wanted.contains === undefined || text.includes(wanted.contains)) &&
    (wanted.replaces === undefined || one.content["m.relates_to"]?.event_id === wanted.replaces) &&
    (wanted.answers === undefined ||
      one.content["m.relates_to"]?.["m.in_reply_to"]?.event_id === wanted.answers) &&
    (wanted.failed ? one.failed !== null : one.failed === null && one.type !== "m.room.encrypted")
  );
}

const DO = {
  async create({ invite, encrypted, version, preset }) {
    const initial_state = encrypted
      ? [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }]
      : [];
    const made = await client.createRoom({
      invite: invite ?? [],
      preset: preset ?? "private_chat",
      room_version: version ?? "10",
      name: "Peer's room",
      initial_state,
    });
    return made.room_id;
  },
  async join({ room }) {
    await client.joinRoom(room);
    return room;
  },
  async invite({ room, user }) {
    await client.invite(room, user);
    return room;
  },
  async members({ room }) {
    const { joined } = await client.getJoinedRoomMembers(room);
    return Object.keys(joined);
  },
  async send({ room, body, content, type }) {
    const sent = content ?? { msgtype: "m.text", body };
    return (await client.sendEvent(room, null, type ?? "m.room.message", sent)).event_id;
  },
  async edit({ room, event, body }) {
    const fresh = { msgtype: "m.text", body };
    const relation = { rel_type: "m.replace", event_id: event };
    const content = { ...fresh, body: `* ${body}`, "m.new_content": fresh, "m.relates_to": relation };
    return (await client.sendEvent(room, null, "m.room.message", content)).event_id;
  },
  async react({ room, event, emoji }) {
    const relation = { rel_type: "m.annotation", event_id: event, key: emoji };
    return (await client.sendEvent(room, null, "m.reaction", { "m.relates_to": relation })).event_id;
  },
  async redact({ room, event }) {
    return (await client.redactEvent(room, event)).event_id;
  },
  // Waits for an event, which may have come before. {failed: true} waits for one that cannot be decrypted.
  async expect({ timeout, ...wanted }) {
    for (const event of seen.values()) if (matches(wanted, event)) return told(event);
    return await new Promise((resolve, reject) => {
      const entry = {
        tried: (event) => {
          if (!matches(wanted, event)) return false;
          clearTimeout(timer);
          resolve(told(event));
          return true;
        },
      };
      const timer = setTimeout(() => {
        waiting = waiting.filter((one) => one !== entry);
        reject(new Error(`nothing like ${JSON.stringify(wanted)} came`));
      }, 1000 * (timeout ?? 20));
      waiting.push(entry);
    });
  },
  async seen({ room }) {
    return [...seen.values()].filter((event) => event.getRoomId() === room).map(told);
  },
  // How the client sees somebody's devices: the shield that Element shows.
  async devices({ user }) {
    const crypto = client.getCrypto();
    const devices = (await crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
    const shown = {};
    for (const id of devices.keys()) {
      const status = await crypto.getDeviceVerificationStatus(user, id);
      shown[id] = { signed: status?.signedByOwner ?? false };
    }
    return shown;
  },
  async identity({ user }) {
    const status = await client.getCrypto().getUserVerificationStatus(user);
    return { changed: status.needsUserApproval };
  },
  async strict({ on }) {
    const mode = on ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false);
    client.getCrypto().setDeviceIsolationMode(mode);
    return on;
  },
  // A new key for the room from the next message on (Element: /discardsession).
  async discard({ room }) {
    await client.getCrypto().forceDiscardSession(room);
    return room;
  },
  async stop() {
    client.stopClient();
    setTimeout(() => process.exit(0), 50);
    return true;
  },
};

async function begin() {
  await client.initRustCrypto({ useIndexedDB: false });
  const crypto = client.getCrypto();
  if (who.strict ?? true) crypto.setDeviceIsolationMode(new OnlySignedDevicesIsolationMode());
  if (who.sign ?? true) {
    await crypto.bootstrapCrossSigning({
      authUploadDeviceSigningKeys: (make) =>
        make({ type: "m.login.password", identifier: { type: "m.id.user", user: who.user }, password: who.password }),
    });
  }
  const synced = new Promise((resolve) =>
    client.on(ClientEvent.Sync, (state) => (state === "PREPARED" ? resolve(undefined) : undefined)),
  );
  await client.startClient({ initialSyncLimit: 20, pollTimeout: 5000 });
  await synced;
}

try {
  await begin();
  say({ ready: true });
} catch (error) {
  say({ ready: false, error: String(error) });
  process.exit(1);
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, do: action, ...rest } = JSON.parse(line);
    try {
      say({ id, ok: true, value: await DO[action](rest) });
    } catch (error) {
      say({ id, ok: false, error: String(error) });
    }
  })
  .on("close", () => process.exit(0));
