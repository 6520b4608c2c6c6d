"""The job of the benchmark by procrastinate: it asks the responder, and inserts the reply row."""

import asyncio
import json
import os

import nats
from procrastinate import App, PsycopgConnector

REPLY = "INSERT INTO floor.reply (id, result) VALUES (%s, %s) ON CONFLICT DO NOTHING"
CONCURRENCY = 10
# Of 5 s by default. A notification that comes while a fetch finds nothing is not heeded, and the
# job waits for the next poll.
POLL_SECONDS = 0.1

connector = PsycopgConnector(
    conninfo=os.environ["DATABASE_URL"], min_size=4, max_size=CONCURRENCY + 2
)
app = App(connector=connector)


async def main():
    link = await nats.connect(os.environ["NATS_URL"], token=os.environ["NATS_TOKEN"])

    @app.task(name="ask", queue="ask", pass_context=True)
    async def ask(context, **body):
        payload = json.dumps(body).encode()
        answer = await link.request("floor.bench.echo", payload, timeout=15)
        async with connector.pool.connection() as session:
            await session.execute(REPLY, (context.job.id, answer.data.decode()))

    async with app.open_async():
        there = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS there"
        if not (await connector.execute_query_one_async(there))["there"]:
            await app.schema_manager.apply_schema_async()
        print("ready", flush=True)
        await app.run_worker_async(
            queues=["ask"],
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=POLL_SECONDS,
            delete_jobs="successful",
        )


asyncio.run(main())
