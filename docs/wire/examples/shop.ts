// Answers `order.total` of a service `shop`, and asks the service `co` on the way. Needs @nats-io/transport-node.
import { connect, headers, type Msg } from "@nats-io/transport-node";

const nc = await connect({ servers: process.env.NATS_URL, token: process.env.NATS_TOKEN });

async function ask(method: string, params: object, asked: Msg): Promise<unknown> {
  const h = headers();
  h.set("Tpro-Budget-Ms", "5000");
  for (const name of ["traceparent", "tracestate"]) {
    if (asked.headers?.has(name)) h.set(name, asked.headers.get(name));
  }
  const request = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const reply = await nc.request(`tpro.co.${method}`, request, { timeout: 5000, headers: h });
  const answer = reply.data.length ? reply.json<any>() : { error: { message: "co takes no more now" } };
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}

// A message may come twice. The header Nats-Msg-Id is the same then.
async function total(message: Msg): Promise<void> {
  const { id, params } = message.json<any>();
  try {
    const sums = await ask("example.request_with_parallel_queries", {}, message);
    message.respond(JSON.stringify({ jsonrpc: "2.0", id, result: { items: params.items, sums } }));
  } catch (error) {
    message.respond(JSON.stringify({ jsonrpc: "2.0", id, error: { code: 1, message: String(error) } }));
  }
}

nc.subscribe("tpro.shop.order.total", { queue: "shop-queue", callback: (_error, message) => void total(message) });
await nc.flush();
console.log("shop answers");
