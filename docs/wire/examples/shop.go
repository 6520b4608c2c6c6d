// Answers `order.total` of a service `shop`, and asks the service `co` on the way. Needs nats.go.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

type object = map[string]any

func ask(nc *nats.Conn, method string, params object, asked *nats.Msg) (any, error) {
	request := nats.NewMsg("tpro.co." + method)
	request.Data, _ = json.Marshal(object{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	request.Header.Set("Tpro-Budget-Ms", "5000")
	for _, name := range []string{"traceparent", "tracestate"} {
		if value, ok := asked.Header[name]; ok {
			request.Header[name] = value
		}
	}
	reply, err := nc.RequestMsg(request, 5*time.Second)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result any
		Error  *struct{ Message string }
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, err // An empty reply: co takes no more now.
	}
	if answer.Error != nil {
		return nil, errors.New(answer.Error.Message)
	}
	return answer.Result, nil
}

func main() {
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.Token(os.Getenv("NATS_TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	// A message may come twice. The header Nats-Msg-Id is the same then.
	nc.QueueSubscribe("tpro.shop.order.total", "shop-queue", func(message *nats.Msg) {
		var request struct {
			ID     string
			Params object
		}
		json.Unmarshal(message.Data, &request)
		answer := object{"jsonrpc": "2.0", "id": request.ID}
		sums, err := ask(nc, "example.request_with_parallel_queries", object{}, message)
		if err != nil {
			answer["error"] = object{"code": 1, "message": err.Error()}
		} else {
			answer["result"] = object{"items": request.Params["items"], "sums": sums}
		}
		data, _ := json.Marshal(answer)
		message.Respond(data)
	})
	nc.Flush()
	log.Print("shop answers")
	select {}
}
