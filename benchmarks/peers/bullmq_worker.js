// A BullMQ worker with the four tasks of recorder.py. Arguments: CONCURRENCY.
// Monotonic seconds are the same clock as Python's time.monotonic() on Linux.
"use strict";
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { Worker } = require("bullmq");

const FIRST = -1;
const LAST = -2;
const redis = new URL(process.env.BENCH_REDIS_URL);
const now = () => Number(process.hrtime.bigint()) / 1e9;
let napped = 0;

function stamp(userId, at, extra) {
  fs.appendFileSync(process.env.BENCH_STAMPS, JSON.stringify([userId, at, extra]) + "\n");
}

const tasks = {
  async noop({ user_id }) {
    if (user_id < 0) stamp(user_id, now(), 0);
  },
  async nap({ user_id, seconds }) {
    const begun = now();
    await sleep(seconds * 1000);
    const ended = now();
    if (user_id === FIRST) {
      napped = 0;
      stamp(user_id, begun, 0);
    }
    napped += ended - begun;
    if (user_id === LAST) stamp(user_id, ended, napped);
  },
  async timed({ user_id, sent }) {
    stamp(user_id, now(), sent);
  },
  async mixed({ user_id, seconds, sent }) {
    stamp(user_id, now(), sent);
    await sleep(seconds * 1000);
  },
};

const worker = new Worker("bench", (job) => tasks[job.name](job.data), {
  connection: { host: redis.hostname, port: Number(redis.port), maxRetriesPerRequest: null },
  concurrency: Number(process.argv[2]),
});
process.once("SIGTERM", () => worker.close().then(() => process.exit(0)));
