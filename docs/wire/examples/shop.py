"""Answers `order.total` of a service `shop`, and asks the service `co` on the way. Needs nats-py."""

import asyncio
import json
import os

import nats


async def main():
    nc = await nats.connect(os.environ["NATS_URL"], token=os.environ.get("NATS_TOKEN"))

    async def ask(method, params, trace):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Tpro-Budget-Ms": "5000", **trace}
        reply = await nc.request(f"tpro.co.{method}", json.dumps(request).encode(), timeout=5, headers=headers)
        answer = json.loads(reply.data or b'{"error": {"message": "co takes no more now"}}')
        if "result" not in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    async def total(message):  # It may come twice. The header Nats-Msg-Id is the same then.
        request = json.loads(message.data)
        trace = {name: value for name, value in (message.headers or {}).items() if name.startswith("trace")}
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = {
                "items": request["params"]["items"],
                "sums": await ask("example.request_with_parallel_queries", {}, trace),
            }
        except Exception as error:
            answer["error"] = {"code": 1, "message": str(error)}
        await message.respond(json.dumps(answer).encode())

    await nc.subscribe("tpro.shop.order.total", queue="shop-queue", cb=total)
    await nc.flush()
    print("shop answers", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
