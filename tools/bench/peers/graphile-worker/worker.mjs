// The job of the benchmark by graphile-worker: it asks the responder, and inserts the reply row.
import { EventEmitter } from "node:events";
import { connect } from "@nats-io/transport-node";
import { Logger, run } from "graphile-worker";

const { DATABASE_URL, NATS_URL, NATS_TOKEN } = process.env;
const REPLY = "INSERT INTO floor.reply (id, result) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const LIMIT = { timeout: 15_000 };

const nats = await connect({ servers: NATS_URL, token: NATS_TOKEN });

async function ask(body, { job, query }) {
  const answer = await nats.request("floor.bench.echo", JSON.stringify(body), LIMIT);
  await query({ name: "reply", text: REPLY, values: [job.id, answer.string()] });
}

const events = new EventEmitter();
events.once("pool:listen:success", () => console.log("ready"));
const quiet = new Logger(() => (level, message) => level === "error" && console.error(message));
await run({
  events,
  taskList: { ask },
  preset: {
    worker: {
      connectionString: DATABASE_URL,
      logger: quiet,
      // As the page "Performance" of its documentation has them.
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
});
