//! Replies for the subscribers of labels, as they come from PostgreSQL and as they go on the wire.

use async_nats::{HeaderMap, HeaderName, Subject, message::OutboundMessage};
use tokio_postgres::Row;
use tpro_wire::{headers, rules, status::Status, uid::Uid};
use uuid::Uuid;

use crate::core::Forward;

const STATUS: HeaderName = HeaderName::from_static(headers::STATUS);
const MSG_ID: HeaderName = HeaderName::from_static(headers::MSG_ID);

/// Reads the rows of `forward.sql`. A row with a value that no publish lets in is left out: only
/// somebody who went around the rules can make one.
pub(crate) fn replies(rows: &[Row]) -> Result<Vec<Forward>, tokio_postgres::Error> {
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, label, status) = (row.try_get(0)?, row.try_get::<_, &str>(2)?, row.try_get::<_, &str>(3)?);
        let uid = Uid::from_uuid(row.try_get::<_, Uuid>(1)?);
        let (Ok(uid), Ok(()), Ok(status)) = (uid, rules::reply_to(label), status.parse::<Status>()) else {
            tracing::error!(
                row.id = id,
                "a row of the outbox has a value that the rules refuse; its reply is not published to its label"
            );
            continue;
        };
        let payload = compact(row.try_get::<_, Option<&str>>(4)?.unwrap_or("null"));
        read.push(Forward { id, uid, label: label.to_owned(), status, payload });
    }
    Ok(read)
}

/// A reply as it goes on the wire.
pub(crate) fn compose(prefix: &str, reply: Forward) -> OutboundMessage {
    let mut map = HeaderMap::new();
    map.insert(STATUS, reply.status.as_str());
    map.insert(MSG_ID, reply.uid.to_string().as_str());
    OutboundMessage {
        subject: Subject::from(format!("{prefix}{}", reply.label)),
        reply: None,
        payload: reply.payload.into(),
        headers: Some(map),
    }
}

/// JSON text of `jsonb` without the spaces that `jsonb` puts between its parts. With them a reply
/// that came through NATS could be too large for NATS.
fn compact(json: &str) -> Vec<u8> {
    let (mut within, mut escaped) = (false, false);
    let keeps = |byte: &u8| {
        let keeps = within || *byte != b' ';
        match *byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            _ => {}
        }
        keeps
    };
    json.bytes().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_without_the_spaces_between_its_parts() {
        for (json, wanted) in [
            (r#"{"a": [1, 2, {"b c": "d, e"}], "f": null}"#, r#"{"a":[1,2,{"b c":"d, e"}],"f":null}"#),
            (r#"{"a \\": "\" b: \\\" c", "d": " "}"#, r#"{"a \\":"\" b: \\\" c","d":" "}"#),
            ("1", "1"),
            (r#"" \\""#, r#"" \\""#),
        ] {
            assert_eq!(String::from_utf8(compact(json)).expect("is text"), wanted);
        }
    }

    #[test]
    fn a_reply_goes_to_the_prefix_and_its_label_and_says_how_the_message_ended() {
        let uid = Uid::v7(1, [1; 10]);
        let reply = Forward {
            id: 1,
            uid,
            label: "orders.42".into(),
            status: Status::Timeout,
            payload: b"{}".to_vec(),
        };
        let message = compose("$$.nats-pwl-reply.", reply);
        assert_eq!(&*message.subject, "$$.nats-pwl-reply.orders.42");
        let headers = message.headers.expect("it has headers");
        let header = |name: HeaderName| headers.get(name).map(ToString::to_string);
        assert_eq!(header(STATUS).as_deref(), Some("timeout"));
        assert_eq!(header(MSG_ID), Some(uid.to_string()));
    }
}
