//! One request with its response, over all redirects between them.

use std::time::Duration;

use crate::{failure::Failure, order::Order, reading, redirect, response::Response, web::Web};

/// Sends a request, and reads its response within this time.
pub(crate) async fn run(web: &Web, order: Order, limit: Duration) -> Result<Response, Failure> {
    // Nothing is sent if nobody waits for the response.
    if limit.is_zero() {
        return Err(Failure::Late(limit));
    }
    tokio::time::timeout(limit, follow(web, order)).await.map_err(|_| Failure::Late(limit))?
}

/// Sends a request, and goes where its responses lead. The rules hold for each place.
async fn follow(web: &Web, mut order: Order) -> Result<Response, Failure> {
    for redirects in 0..=web.redirects {
        let is_redirected = redirects > 0;
        let reach =
            web.hosts.reach(&order.url).map_err(|refusal| Failure::refused(refusal, is_redirected))?;
        let mut request = web.client(reach).request(order.method.clone(), order.url.clone());
        if let Some(body) = &order.body {
            request = request.body(body.clone());
        }
        let sent = request.headers(order.headers.clone()).send().await;
        let response = sent.map_err(|error| Failure::of(&error, is_redirected))?;
        let target = redirect::target(&order.url, response.status(), response.headers());
        // With no redirects at all, a redirect is a response like any other.
        let Some(url) = target.filter(|_| web.redirects > 0) else {
            return reading::read(response, web.max_response).await;
        };
        let refused = redirect::follow(&mut order, response.status(), url);
        refused.map_err(|refusal| Failure::refused(refusal, true))?;
    }
    Err(Failure::Circle(web.redirects))
}
