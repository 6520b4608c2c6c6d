//! A claim of leadership, as it is said on NATS and believed.
//!
//! Anybody who reaches NATS can say anything, so a claim is signed with a key that only copies of
//! the service have ([`Keys`]). A question carries a nonce, and an answer the nonce of its
//! question: an answer that was overheard earlier is none to a later question. The signature of a
//! question covers the subject of its answers, so that nobody has a leader publish somewhere else
//! by saying a question again.
//!
//! Release 0.1.0 reads the same JSON and neither signs nor checks.

use serde::{Deserialize, Serialize};
use tpro_runtime::keys::Keys;
use tpro_wire::{
    Source,
    hex::{hex, take_hex},
};

use super::identity::Server;

/// More bytes than any claim has.
const LONGEST: usize = 1024;

/// The text of a claim.
#[derive(Serialize, Deserialize)]
struct Text {
    timeline: u32,
    started: i64,
    asker: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    nonce: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    signature: String,
}

/// The content of a claim.
pub(crate) struct Said {
    /// The server that says it.
    pub server: Server,
    /// Of which question.
    pub nonce: String,
}

/// The reasons why a claim is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It cannot be read.
    Malformed,
    /// Nobody has signed it.
    Unsigned,
    /// Somebody else has.
    Forged,
    /// It answers no question that is open.
    Stale,
    /// Its timeline is none that promotions explain.
    Unexplained,
}

impl Doubt {
    /// For metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Says and reads the claims of one source.
pub(crate) struct Claims {
    keys: Keys,
    source: String,
}

impl Claims {
    pub fn new(keys: &Keys, source: &Source) -> Self {
        Self { keys: keys.clone(), source: source.to_string() }
    }

    /// A question, whose answers come to this inbox.
    pub fn question(&self, server: &Server, nonce: &str, inbox: &str) -> bytes::Bytes {
        text(server, nonce, &hex(&self.keys.sign_claim(&self.signed("question", server, nonce, inbox))))
    }

    /// The answer to a question.
    pub fn answer(&self, server: &Server, nonce: &str) -> bytes::Bytes {
        text(server, nonce, &hex(&self.keys.sign_claim(&self.signed("answer", server, nonce, ""))))
    }

    /// The words of release 0.1.0, as question and as answer.
    pub fn unsigned(&self, server: &Server) -> bytes::Bytes {
        text(server, "", "")
    }

    /// Reads a question that came to us.
    pub fn read_question(&self, payload: &[u8], inbox: &str, ours: &Server) -> Result<Said, Doubt> {
        self.read("question", payload, inbox, ours)
    }

    /// Reads an answer to one of the open questions.
    pub fn read_answer(&self, payload: &[u8], open: &[String], ours: &Server) -> Result<Said, Doubt> {
        let said = self.read("answer", payload, "", ours)?;
        if open.contains(&said.nonce) { Ok(said) } else { Err(Doubt::Stale) }
    }

    fn read(&self, kind: &str, payload: &[u8], inbox: &str, ours: &Server) -> Result<Said, Doubt> {
        if payload.len() > LONGEST {
            return Err(Doubt::Malformed);
        }
        let text: Text = serde_json::from_slice(payload).map_err(|_| Doubt::Malformed)?;
        let Text { timeline, started, asker, nonce, signature } = text;
        if signature.is_empty() {
            return Err(Doubt::Unsigned);
        }
        let server = Server { timeline, started, asker };
        let mut bytes = [0; 32];
        take_hex(signature.as_bytes(), &mut bytes).ok_or(Doubt::Forged)?;
        if !self.keys.is_claim(&self.signed(kind, &server, &nonce, inbox), &bytes) {
            return Err(Doubt::Forged);
        }
        if !ours.explains(&server) {
            return Err(Doubt::Unexplained);
        }
        Ok(Said { server, nonce })
    }

    /// The bytes that are signed. None of their parts holds a line break: a nonce with one is not
    /// ours, and is not one of an open question.
    fn signed(&self, kind: &str, server: &Server, nonce: &str, inbox: &str) -> Vec<u8> {
        let Server { timeline, started, asker } = server;
        format!("{kind}\n{}\n{timeline}\n{started}\n{asker}\n{inbox}\n{nonce}", self.source).into_bytes()
    }
}

fn text(server: &Server, nonce: &str, signature: &str) -> bytes::Bytes {
    let Server { timeline, started, asker } = *server;
    let text = Text { timeline, started, asker, nonce: nonce.to_owned(), signature: signature.to_owned() };
    serde_json::to_vec(&text).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Server = Server { timeline: 7, started: 5, asker: 1 };
    const THEIRS: Server = Server { timeline: 8, started: 9, asker: 2 };

    fn claims(secret: u8, service: &str) -> Claims {
        let source = format!("{service}/019108f7-52d1-4320-9bac-f847db4148a8").parse().unwrap();
        Claims::new(&Keys::new(&[secret; 32], &[secret.wrapping_add(1); 32]), &source)
    }

    fn answered(claims: &Claims, payload: &[u8]) -> Result<Server, Doubt> {
        claims.read_answer(payload, &["one".to_owned(), "two".to_owned()], &OURS).map(|said| said.server)
    }

    #[test]
    fn what_the_own_service_signs_is_believed() {
        let main = claims(1, "main");
        assert_eq!(answered(&main, &main.answer(&THEIRS, "two")), Ok(THEIRS));
        let question = main.question(&THEIRS, "three", "inbox");
        let said = main.read_question(&question, "inbox", &OURS).map(|said| (said.server, said.nonce));
        assert_eq!(said, Ok((THEIRS, "three".to_owned())));
    }

    #[test]
    fn nothing_else_is() {
        let main = claims(1, "main");
        let answer = String::from_utf8(main.answer(&THEIRS, "one").to_vec()).unwrap();
        let question = main.question(&THEIRS, "one", "inbox");
        for (payload, doubt) in [
            (&b"claim"[..], Doubt::Malformed),
            (&vec![b' '; LONGEST + 1], Doubt::Malformed),
            (&main.unsigned(&THEIRS), Doubt::Unsigned),
            (&claims(2, "main").answer(&THEIRS, "one"), Doubt::Forged),
            (&claims(1, "co").answer(&THEIRS, "one"), Doubt::Forged),
            (&question, Doubt::Forged),
            (answer.replace(r#""timeline":8"#, r#""timeline":9"#).as_bytes(), Doubt::Forged),
            (answer.replace(r#""nonce":"one""#, r#""nonce":"two""#).as_bytes(), Doubt::Forged),
            (answer.replace(r#""signature":""#, r#""signature":"x"#).as_bytes(), Doubt::Forged),
            (&main.answer(&THEIRS, "three"), Doubt::Stale),
            (&main.answer(&Server { timeline: u32::MAX, ..THEIRS }, "one"), Doubt::Unexplained),
        ] {
            assert_eq!(answered(&main, payload), Err(doubt), "{}", String::from_utf8_lossy(payload));
        }
        let elsewhere = main.read_question(&question, "another inbox", &OURS).map(|said| said.server);
        assert_eq!(elsewhere, Err(Doubt::Forged));
    }

    #[test]
    fn release_0_1_0_reads_what_we_say() {
        let main = claims(1, "main");
        for said in
            [main.question(&THEIRS, "one", "inbox"), main.answer(&THEIRS, "one"), main.unsigned(&THEIRS)]
        {
            let read: serde_json::Value = serde_json::from_slice(&said).unwrap();
            assert_eq!(
                (&read["timeline"], &read["started"], &read["asker"]),
                (&8.into(), &9.into(), &2.into())
            );
        }
    }
}
