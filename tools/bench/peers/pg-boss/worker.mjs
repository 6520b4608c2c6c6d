// The job of the benchmark by pg-boss: it asks the responder for each job of a batch at once, and
// inserts the reply rows of the batch.
import { connect } from "@nats-io/transport-node";
import { PgBoss } from "pg-boss";

const { DATABASE_URL, NATS_URL, NATS_TOKEN } = process.env;
const REPLIES = `INSERT INTO floor.reply (id, result)
  SELECT * FROM unnest($1::bigint[], $2::jsonb[]) ON CONFLICT DO NOTHING`;
const LIMIT = { timeout: 15_000 };

const nats = await connect({ servers: NATS_URL, token: NATS_TOKEN });
const boss = new PgBoss({ connectionString: DATABASE_URL, useListenNotify: true });
boss.on("error", console.error);
boss.on("warning", console.error);

async function ask(jobs) {
  const one = ({ data }) => nats.request("floor.bench.echo", JSON.stringify(data.body), LIMIT);
  const answers = await Promise.all(jobs.map(one));
  const ids = jobs.map(({ data }) => data.id);
  await boss.getDb().executeSql(REPLIES, [ids, answers.map((answer) => answer.string())]);
}

await boss.start();
await boss.createQueue("ask", { notify: true, partition: true });
await boss.work("ask", { batchSize: 500, burstWhenBatchFull: true }, ask);
console.log("ready");
