//! Batches: one message, whose reply answers each of its requests.

use super::*;

/// A batch of so many requests.
fn batch(id: i64, requests: usize) -> Row {
    let mut row = row(id, 15);
    if let Content::Whole(published) = &mut row.content {
        published.requests = Some(requests);
    }
    row
}

/// An answer to the request with this index.
fn answer(attempt: Attempt, index: usize, said: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{}/{index}",{said}}}"#, attempt.uid)
}

#[test]
fn a_batch_is_settled_by_one_answer_for_each_of_its_requests() {
    let mut leader = Leader::fresh();
    leader.reads(vec![batch(1, 2), batch(2, 2), batch(3, 2), row(4, 15)]);
    let [whole, failed, short, single] = leader.sent[..] else { panic!("{:?}", leader.sent) };
    let ok = r#""result":1"#;
    let error = r#""error":{"code":7,"message":"no"}"#;
    for (attempt, payload, end) in [
        (whole, format!("[{},{}]", answer(whole, 1, ok), answer(whole, 0, ok)), (1, Status::Ok)),
        (failed, format!("[{},{}]", answer(failed, 0, ok), answer(failed, 1, error)), (2, Status::Error)),
        (short, format!("[{}]", answer(short, 0, ok)), (3, Status::Error)),
        // A request by itself takes no array.
        (single, format!("[{}]", answer(single, 0, ok)), (4, Status::Error)),
    ] {
        leader.replies(attempt, None, &[], &payload);
        assert_eq!(leader.settles(), [end], "{payload}");
    }
}

#[test]
fn a_batch_that_is_told_to_wait_waits_whole() {
    let mut leader = Leader::fresh();
    leader.reads(vec![batch(1, 2)]);
    let attempt = leader.sent[0];
    let later = r#""error":{"code":7,"message":"not now"}"#;
    let payload = format!("[{},{}]", answer(attempt, 0, later), answer(attempt, 1, later));
    let said = [("Tpro-State", "later"), ("Tpro-Retry-After-Ms", "3000"), ("Tpro-Status", "error")];
    let headers = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    leader.replies(attempt, None, &headers, &payload);
    leader.pass(Duration::from_millis(2_900));
    assert_eq!(leader.sent.len(), 1, "not before its time");
    leader.pass(Duration::from_millis(200));
    assert_eq!(leader.sent.len(), 2);
}
