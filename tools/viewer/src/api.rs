//! The query API of Jaeger, as far as its UI 2.14 asks for it, and the UI's files behind it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::extract::{FromRef, Path, Query, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::answer::{Answers, Turn};
use crate::hosts::Hosts;
use crate::search::Search;
use crate::store::{Store, Trace, TraceId};
use crate::{dependencies, jaeger};

type Shared = State<Arc<RwLock<Store>>>;

/// The sources of the API's answers.
#[derive(Clone)]
struct Context {
    store: Arc<RwLock<Store>>,
    answers: Answers,
}

impl FromRef<Context> for Arc<RwLock<Store>> {
    fn from_ref(context: &Context) -> Self {
        Arc::clone(&context.store)
    }
}

impl FromRef<Context> for Answers {
    fn from_ref(context: &Context) -> Self {
        context.answers.clone()
    }
}

type Pairs = Query<Vec<(String, String)>>;

/// Everything that is served by HTTP.
pub fn router(store: Arc<RwLock<Store>>, answers: Answers, hosts: Hosts) -> Router {
    let api = Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(operations_of))
        .route("/operations", get(operations))
        .route("/traces", get(traces))
        .route("/traces/{id}", get(trace))
        .route("/dependencies", get(system))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "this viewer does not have this call") })
        .with_state(Context { store, answers });
    // Only the files of the crate's own router are used; it gets a store that stays empty.
    let nothing = otlp_embedded::State::new(otlp_embedded::Config { max_length: 1, max_memory_usage: 1 });
    let files = otlp_embedded::ui_app(nothing, "/").layer(from_fn(page));
    let all = Router::new().nest("/api", api).fallback_service(files);
    all.layer(from_fn(move |request: Request, next: Next| {
        let known = hosts.know(&request);
        async move {
            match known {
                true => next.run(request).await,
                false => failure(StatusCode::FORBIDDEN, "this viewer does not go by that name: see --host"),
            }
        }
    }))
}

/// Every address of the UI is the same page, answered with 200; the crate answers 307 without a
/// `Location`.
async fn page(mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/static/") {
        *request.uri_mut() = Uri::from_static("/index.html");
    }
    next.run(request).await
}

async fn services(State(store): Shared) -> Response {
    success(read(&store).names().services().into_iter().map(Value::from).collect())
}

async fn operations_of(State(store): Shared, Path(service): Path<String>) -> Response {
    let mut names: Vec<Value> =
        read(&store).names().operations(&service).map(|(operation, _)| operation.into()).collect();
    names.dedup();
    success(names)
}

async fn operations(State(store): Shared, Query(pairs): Pairs) -> Response {
    let asked = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let Some(service) = asked("service") else {
        return failure(StatusCode::BAD_REQUEST, "service: missing");
    };
    let wanted = asked("spanKind");
    success(
        read(&store)
            .names()
            .operations(service)
            .filter(|(_, kind)| wanted.is_none_or(|wanted| wanted == *kind))
            .map(|(operation, kind)| json!({ "name": operation, "spanKind": kind }))
            .collect(),
    )
}

async fn traces(State(store): Shared, State(answers): State<Answers>, Query(pairs): Pairs) -> Response {
    let search = match Search::parse(pairs) {
        Ok(search) => search,
        Err(error) => return failure(StatusCode::BAD_REQUEST, &error),
    };
    let Some(turn) = answers.turn().await else { return busy() };
    let store = read(&store);
    if !search.ids.is_empty() {
        let known = search.ids.iter().filter_map(|text| trace_id(text));
        let known: Vec<_> = known.filter_map(|id| Some((id, store.get(&id)?))).collect();
        return found(turn, &known);
    }
    let fitting = store.latest().filter(|(_, trace)| search.fits(trace)).take(search.limit);
    let mut fitting: Vec<_> = fitting.map(|(id, trace)| (*id, trace)).collect();
    fitting.sort_by_key(|(_, trace)| std::cmp::Reverse(trace.start_ns()));
    found(turn, &fitting)
}

async fn trace(State(store): Shared, State(answers): State<Answers>, Path(text): Path<String>) -> Response {
    let Some(id) = trace_id(&text) else {
        return failure(StatusCode::BAD_REQUEST, "a trace id is up to 32 hexadecimal digits");
    };
    let Some(turn) = answers.turn().await else { return busy() };
    match read(&store).get(&id) {
        Some(trace) => found(turn, &[(id, trace)]),
        None => failure(StatusCode::NOT_FOUND, "trace not found: not arrived yet, or no longer kept"),
    }
}

/// These traces, or as many of them as one answer may hold.
fn found(turn: Turn, traces: &[(TraceId, &Trace)]) -> Response {
    let mut text = br#"{"data":["#.to_vec();
    let mut written = 0;
    for (id, trace) in traces {
        if text.len() > turn.most {
            break;
        }
        if written > 0 {
            text.push(b',');
        }
        jaeger::trace(id, trace, &mut text, turn.most);
        written += 1;
    }
    text.extend_from_slice(format!(r#"],"total":{written},"limit":0,"offset":0,"errors":null}}"#).as_bytes());
    turn.json(text)
}

fn busy() -> Response {
    failure(StatusCode::SERVICE_UNAVAILABLE, "too many answers are on their way: try again")
}

async fn system(State(store): Shared, Query(pairs): Pairs) -> Response {
    let ms =
        |key: &str| pairs.iter().find(|(k, _)| k == key).and_then(|(_, value)| value.parse::<u64>().ok());
    let end_ms = ms("endTs").unwrap_or(u64::MAX / 1_000);
    let start_ms = ms("lookback").map_or(0, |lookback| end_ms.saturating_sub(lookback));
    success(dependencies::between(
        &read(&store),
        start_ms.saturating_mul(1_000),
        end_ms.saturating_mul(1_000),
    ))
}

/// A trace id as people and the UI write it: upper or lower case, leading zeros may be missing.
fn trace_id(text: &str) -> Option<TraceId> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn read(store: &RwLock<Store>) -> RwLockReadGuard<'_, Store> {
    store.read().unwrap_or_else(PoisonError::into_inner)
}

fn success(data: Vec<Value>) -> Response {
    let total = data.len();
    Json(json!({ "data": data, "total": total, "limit": 0, "offset": 0, "errors": null })).into_response()
}

fn failure(status: StatusCode, message: &str) -> Response {
    let errors = json!([{ "code": status.as_u16(), "msg": message }]);
    let body = json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors });
    (status, Json(body)).into_response()
}
