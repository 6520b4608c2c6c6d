//! The methods of `web`.

use std::time::Duration;

use reqwest::Method;
use tpro_sidecar::{Ctx, Fault, Service};

use crate::{exchange, failure::Failure, order::Order, request::Request, response::Response, web::Web};

/// The part of the remaining time that is kept for the reply: a tenth, within these bounds.
const MARGIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The service.
pub fn service() -> Service<Web> {
    Service::with_state("web", Web::new)
        .handle("http.get", |ctx, request| send(Method::GET, ctx, request))
        .description("sends a request with GET, and returns its response")
        .schemas::<Request, Response>()
        .handle("http.head", |ctx, request| send(Method::HEAD, ctx, request))
        .description("sends a request with HEAD, and returns its response")
        .schemas::<Request, Response>()
        .handle("http.post", |ctx, request| send(Method::POST, ctx, request))
        .description("sends a request with POST, and returns its response")
        .schemas::<Request, Response>()
        .handle("http.put", |ctx, request| send(Method::PUT, ctx, request))
        .description("sends a request with PUT, and returns its response")
        .schemas::<Request, Response>()
        .handle("http.patch", |ctx, request| send(Method::PATCH, ctx, request))
        .description("sends a request with PATCH, and returns its response")
        .schemas::<Request, Response>()
        .handle("http.delete", |ctx, request| send(Method::DELETE, ctx, request))
        .description("sends a request with DELETE, and returns its response")
        .schemas::<Request, Response>()
}

/// Sends the request of a message. A status that is to be retried is a failure.
async fn send(method: Method, ctx: Ctx<Web>, request: Request) -> Result<Response, Fault> {
    let web = ctx.state();
    let limit = limit(ctx.remaining(), request.time()?.unwrap_or(web.timeout));
    let retried = request.retried()?;
    let mut order = Order::new(method, request)?;
    order.name(&ctx.uid().to_string(), &ctx.span().to_string());
    let response = match exchange::run(web, order, limit).await {
        Ok(response) if retried.as_ref().unwrap_or(&web.retried).has(response.status()) => {
            Err(Failure::Status(Box::new(response)))
        }
        ended => ended,
    };
    response.map_err(|failure| failure.into_fault(ctx.attempt(), &ctx.uid().to_string()))
}

/// The time for a request: the one that was chosen, and no more than remains for the message. The
/// reply needs a part of what remains, so that the caller learns how the request has ended.
fn limit(remaining: Duration, chosen: Duration) -> Duration {
    let margin = (remaining / 10).clamp(MARGIN.0, MARGIN.1);
    remaining.saturating_sub(margin).min(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_what_remains_is_kept_for_the_reply() {
        let limit = |remaining, chosen| {
            super::limit(Duration::from_millis(remaining), Duration::from_millis(chosen)).as_millis()
        };
        assert_eq!(limit(15_000, 5_000), 5_000);
        assert_eq!(limit(15_000, 60_000), 14_000);
        assert_eq!(limit(3_000, 60_000), 2_700);
        assert_eq!(limit(500, 60_000), 400);
        assert_eq!(limit(50, 60_000), 0);
    }
}
