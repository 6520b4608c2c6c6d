//! The question of a delivery and its sender: by them a repeat is told from another question under
//! the same uid.
//!
//! A uid is in logs and traces, so it names a message and gives no right to its answer. Who
//! asks again must ask the same target on behalf of the same service, and prove to be the one who
//! asked first: by the header `Tpro-Key`, which only the sending service can make. The service
//! counts and not the database, so that a message is known also after `tpro.adopt()`.
//!
//! A stranger has no key, and proves it by sending the same params again. What is compared is a
//! digest of their bytes as they came: a client that repeats itself sends the same bytes, and no
//! two questions become one by how JSON is read.

use std::{borrow::Cow, sync::OnceLock};

use bytes::Bytes;
use ring::digest;
use tpro_wire::{MessageKey, RequestHeaders, Source, Target, Uid, hex::hex, reply_subject};

/// Bytes of the digest that are kept. What must not be found is another text with the digest of a
/// given one, which 128 bits keep out of reach.
const DIGEST_LEN: usize = 16;

/// The question of a delivery, and its sender.
pub struct Question {
    /// The message.
    pub uid: Uid,
    /// The source, `service/instance`; none for a stranger.
    pub source: Option<String>,
    /// The subject.
    pub target: String,
    key: Option<MessageKey>,
    params: Bytes,
    /// The answer goes to the asking service and to nobody else.
    is_home: bool,
    /// Of the params, made once: they may be long, and many may ask.
    digest: OnceLock<String>,
}

/// The question that was asked first under a uid.
pub struct First<'a> {
    /// The source, `service/instance`; none for a stranger.
    pub source: Option<&'a str>,
    /// The subject.
    pub target: &'a str,
    /// The proof of its sender. None: a copy of 0.1.0 has taken it.
    pub proof: Option<Cow<'a, str>>,
    /// Its sender may still wait for the answer.
    pub is_awaited: bool,
}

impl Question {
    /// The question of this delivery. `payload` holds `params`.
    pub fn new(
        uid: Uid,
        headers: &RequestHeaders,
        target: &Target,
        reply: Option<&str>,
        payload: &Bytes,
        params: &str,
    ) -> Self {
        let is_home = headers
            .source
            .as_ref()
            .zip(reply)
            .is_some_and(|(source, reply)| reply_subject::is_home(reply, &source.service, &uid));
        // Params that were not sent are no part of the payload.
        let params = if payload.as_ptr_range().contains(&params.as_ptr()) {
            payload.slice_ref(params.as_bytes())
        } else {
            Bytes::copy_from_slice(params.as_bytes())
        };
        Self {
            uid,
            source: headers.source.as_ref().map(Source::to_string),
            target: target.subject().to_owned(),
            key: headers.key,
            params,
            is_home,
            digest: OnceLock::new(),
        }
    }

    /// The proof as an inbox keeps it: `k:<key>`, or `d:<digest of the params>` of a stranger.
    pub fn proof(&self) -> String {
        self.key.map_or_else(|| self.digest().to_owned(), |key| format!("k:{key}"))
    }

    fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let digest = digest::digest(&digest::SHA256, &self.params);
            format!("d:{}", hex(&digest.as_ref()[..DIGEST_LEN]))
        })
    }

    /// This question as the first one, while it is at work.
    pub fn as_first(&self) -> First<'_> {
        First {
            source: self.source.as_deref(),
            target: &self.target,
            proof: Some(self.proof().into()),
            is_awaited: true,
        }
    }

    /// True if this is a repeat of the first question, and from the same sender.
    ///
    /// A copy of 0.1.0 makes no key, and may send again what one of 0.1.1 has sent first: in a
    /// fleet with both, and after a roll back. It asks for the answer in its own inbox, where only
    /// its own service hears it, and does so while the first is awaited.
    pub fn repeats(&self, first: &First<'_>) -> bool {
        if (service(self.source.as_deref()), &*self.target) != (service(first.source), first.target) {
            return false;
        }
        let Some(proof) = first.proof.as_deref() else { return true };
        match (proof.strip_prefix("k:").map(str::parse), self.key) {
            (Some(key), Some(ours)) => key == Ok(ours),
            (Some(_), None) => self.is_home && first.is_awaited,
            (None, _) => self.digest() == proof,
        }
    }
}

#[cfg(test)]
impl Question {
    /// A stranger's question, for tests.
    pub(crate) fn sample(params: &'static str) -> Self {
        Self {
            uid: Uid::v7(1, [1; 10]),
            source: None,
            target: "tpro.analytic.example.simple".to_owned(),
            key: None,
            params: Bytes::from_static(params.as_bytes()),
            is_home: false,
            digest: OnceLock::new(),
        }
    }
}

/// The service of a source.
fn service(source: Option<&str>) -> Option<&str> {
    source.map(|source| source.split_once('/').map_or(source, |(service, _)| service))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    const ONE: &str = "main/019108f7-52d1-4320-9bac-f847db4148a8";
    /// That service after `tpro.adopt()`.
    const TWO: &str = "main/1234abcd-52d1-4320-9bac-f847db4148a8";

    fn ask(source: Option<&str>, method: &str, key: Option<u8>, params: &str, reply: &str) -> Question {
        let headers = RequestHeaders {
            source: source.map(|source| source.parse().unwrap()),
            key: key.map(|byte| MessageKey::of(&[byte; 32])),
            ..RequestHeaders::default()
        };
        let target = Target::parse(&format!("tpro.analytic.example.{method}")).unwrap();
        let payload = Bytes::copy_from_slice(params.as_bytes());
        let params = str::from_utf8(&payload).unwrap();
        Question::new(UID.parse().unwrap(), &headers, &target, Some(reply), &payload, params)
    }

    #[test]
    fn a_repeat_has_the_key_whatever_became_of_its_body_and_database() {
        let first = ask(Some(ONE), "simple", Some(1), "{}", "back");
        assert_eq!(first.proof(), format!("k:{}", "01".repeat(16)));
        assert!(ask(Some(TWO), "simple", Some(1), "{ }", "elsewhere").repeats(&first.as_first()));
        for other in [
            ask(Some(ONE), "other", Some(1), "{}", "back"),
            ask(Some("co/019108f7-52d1-4320-9bac-f847db4148a8"), "simple", Some(1), "{}", "back"),
            ask(None, "simple", Some(1), "{}", "back"),
            ask(Some(ONE), "simple", Some(2), "{}", "back"),
            ask(Some(ONE), "simple", None, "{}", "back"),
        ] {
            assert!(!other.repeats(&first.as_first()));
        }
    }

    #[test]
    fn a_stranger_repeats_its_params() {
        let first = ask(None, "simple", None, r#"{"a":1}"#, "back");
        assert_eq!(first.proof(), "d:015abd7f5cc57a2dd94b7590f04ad808");
        assert!(ask(None, "simple", None, r#"{"a":1}"#, "elsewhere").repeats(&first.as_first()));
        for other in [
            ask(None, "simple", None, r#"{"a": 1}"#, "back"),
            ask(None, "other", None, r#"{"a":1}"#, "back"),
            ask(Some(ONE), "simple", None, r#"{"a":1}"#, "back"),
        ] {
            assert!(!other.repeats(&first.as_first()));
        }
    }

    #[test]
    fn releases_know_each_others_messages() {
        // Taken by a copy of 0.1.0, which keeps no proof.
        let old = First {
            source: Some(ONE),
            target: "tpro.analytic.example.simple",
            proof: None,
            is_awaited: false,
        };
        assert!(ask(Some(TWO), "simple", Some(1), "{}", "back").repeats(&old));
        assert!(!ask(Some(ONE), "other", Some(1), "{}", "back").repeats(&old));
        assert!(!ask(None, "simple", None, "{}", "back").repeats(&old));
        // Sent by a copy of 0.1.0 first, then by one of this release.
        let first = ask(Some(ONE), "simple", None, "{}", "back");
        assert!(ask(Some(ONE), "simple", Some(1), "{}", "back").repeats(&first.as_first()));
        assert!(!ask(Some(ONE), "simple", Some(1), "[]", "back").repeats(&first.as_first()));
        // And the other way round: for as long as its sender waits, and into the sender's own
        // inbox.
        let first = ask(Some(ONE), "simple", Some(1), "{}", "back");
        let home = format!("_INBOX.tpro.main.019108f7.{UID}.2");
        assert!(ask(Some(ONE), "simple", None, "{}", &home).repeats(&first.as_first()));
        let over = First { is_awaited: false, ..first.as_first() };
        assert!(!ask(Some(ONE), "simple", None, "{}", &home).repeats(&over));
        let anothers = format!("_INBOX.tpro.co.019108f7.{UID}.2");
        assert!(!ask(Some(ONE), "simple", None, "{}", &anothers).repeats(&first.as_first()));
        assert!(!ask(Some(ONE), "simple", Some(2), "{}", &home).repeats(&first.as_first()));
    }

    #[test]
    fn params_that_were_not_sent_are_an_empty_object() {
        let payload = Bytes::from_static(b"{}");
        let headers = RequestHeaders::default();
        let target = Target::parse("tpro.analytic.example.simple").unwrap();
        let question = Question::new(UID.parse().unwrap(), &headers, &target, None, &payload, "{}");
        assert_eq!(question.proof(), ask(None, "simple", None, "{}", "back").proof());
    }
}
