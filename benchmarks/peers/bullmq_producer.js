// produce.py for BullMQ: the same orders, the same marks, the same account. Change both.
"use strict";
const { setTimeout: sleep } = require("node:timers/promises");
const { Queue } = require("bullmq");

const FIRST = -1;
const LAST = -2;
const LONG = -3;
const BURSTS_BETWEEN_LONG = 5;
const CHUNK = 1000;
const EMAIL = "user123456@example.com";
const order = JSON.parse(process.argv[2]);
const redis = new URL(process.env.BENCH_REDIS_URL);
const now = () => Number(process.hrtime.bigint()) / 1e9;
const queue = new Queue("bench", {
  connection: { host: redis.hostname, port: Number(redis.port) },
  defaultJobOptions: { removeOnComplete: true },
});

function jobs() {
  const { warm, count, extra } = order;
  const all = [];
  for (let number = 0; number < warm + count; number++) {
    let userId = number === warm ? FIRST : number;
    if (number === warm + count - 1) userId = LAST;
    all.push({ user_id: userId, email: EMAIL, ...extra });
  }
  return all;
}

async function addMany(all) {
  for (let at = 0; at < all.length; at += CHUNK) {
    await queue.addBulk(all.slice(at, at + CHUNK).map((data) => ({ name: order.task, data })));
  }
}

async function addEach(all) {
  for (const data of all) await queue.add(order.task, data);
}

async function timed(add) {
  const all = jobs();
  await add(all.slice(0, order.warm));
  const rest = all.slice(order.warm);
  const begun = now();
  const cpu = process.cpuUsage();
  await add(rest);
  const used = process.cpuUsage(cpu);
  return { jobs: rest.length, seconds: now() - begun, cpu_seconds: (used.user + used.system) / 1e6 };
}

const kinds = {
  async fill() {
    const all = jobs();
    await addMany(all);
    return { jobs: all.length };
  },
  single: () => timed(addEach),
  bulk: () => timed(addMany),
  async paced() {
    const begun = now();
    const total = order.warm + order.count;
    for (let number = 0; number < total; number++) {
      await sleep(Math.max(0, (begun + (number * order.interval_ms) / 1000 - now()) * 1000));
      await queue.add(order.task, { user_id: number, email: EMAIL, sent: now() });
    }
    return { jobs: total };
  },
  async mixed() {
    const { count, extra, interval_ms } = order;
    const begun = now();
    const add = (user_id, seconds) =>
      queue.add(order.task, { user_id, email: EMAIL, seconds, sent: now() });
    for (let number = 0; number < count; number++) {
      await sleep(Math.max(0, (begun + (number * interval_ms) / 1000 - now()) * 1000));
      const turn = Math.floor(number / BURSTS_BETWEEN_LONG);
      if (number % BURSTS_BETWEEN_LONG === 1 && turn < extra.long_jobs) await add(LONG, extra.long);
      for (let at = 0; at < extra.burst; at++) await add(number * extra.burst + at, extra.short);
    }
    return { jobs: count * extra.burst + extra.long_jobs };
  },
};

queue
  .waitUntilReady()
  .then(() => kinds[order.kind]())
  .then((account) => console.log(JSON.stringify(account)))
  .then(() => queue.close());
