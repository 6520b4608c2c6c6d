//! Replies for the subscribers of labels, as they come from PostgreSQL and as they go on the wire.

use tokio_postgres::Row;
use tpro_runtime::nats::{Block, Client, Publication, PublishError};
use tpro_wire::{headers, rules, status::Status, uid::Uid};
use uuid::Uuid;

use crate::core::Forward;

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

/// Publishes a reply to the subscribers of its label.
pub(crate) fn publish(nats: &Client, prefix: &str, reply: &Forward) -> Result<(), PublishError> {
    nats.publish_now(Publication {
        subject: &format!("{prefix}{}", reply.label),
        reply: None,
        headers: Some(&said_of(reply)),
        payload: &reply.payload,
    })
}

/// The headers say how the message ended, and which it was.
fn said_of(reply: &Forward) -> Block {
    Block::of([(headers::STATUS, reply.status.as_str()), (headers::MSG_ID, &reply.uid.to_string())])
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
    use tpro_runtime::nats::Message;

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
    fn the_headers_of_a_reply_say_how_the_message_ended_and_which_it_was() {
        let uid = Uid::v7(1, [1; 10]);
        let (label, payload) = ("orders.42".into(), b"{}".to_vec());
        let reply = Forward { id: 1, uid, label, status: Status::Timeout, payload };
        let message = Message::new("any", None, &said_of(&reply), b"");
        assert_eq!(message.header(headers::STATUS), Some("timeout"));
        assert_eq!(message.header(headers::MSG_ID), Some(uid.to_string().as_str()));
    }
}
