//! The keys that only the copies of this service have.
//!
//! The service's secret stays in the database. Each copy asks `tpro.sign()` at its start for two
//! keys that are made of the secret, one for each use, and signs with these from then on.

use ring::hmac;
use tokio_postgres::Client;
use tpro_wire::{MessageKey, ServiceName, Uid, uid};

/// The keys of this service.
#[derive(Clone)]
pub struct Keys {
    messages: hmac::Key,
    claims: hmac::Key,
}

impl Keys {
    /// Asks the database for the keys.
    pub async fn of(client: &Client, service: &ServiceName) -> Result<Self, tokio_postgres::Error> {
        let sql = "/* start.keys */ SELECT tpro.sign($1, 'tpro key 1'), tpro.sign($1, 'tpro claim 1')";
        let row = client.query_one(sql, &[&service.as_str()]).await?;
        Ok(Self::new(row.try_get(0)?, row.try_get(1)?))
    }

    /// The keys that are made of these two secrets.
    pub fn new(messages: &[u8], claims: &[u8]) -> Self {
        let key = |bytes| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        Self { messages: key(messages), claims: key(claims) }
    }

    /// The proof that a request comes from this service.
    pub fn of_message(&self, uid: &Uid) -> MessageKey {
        let tag = hmac::sign(&self.messages, uid.encode(&mut [0; uid::TEXT_LEN]).as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        MessageKey::of(&digest)
    }

    /// Signs a claim of leadership.
    pub fn sign_claim(&self, claim: &[u8]) -> [u8; 32] {
        let mut signature = [0; 32];
        signature.copy_from_slice(hmac::sign(&self.claims, claim).as_ref());
        signature
    }

    /// True if a copy of this service has signed this claim.
    pub fn is_claim(&self, claim: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.claims, claim, signature).is_ok()
    }

    /// Keys for tests.
    #[cfg(test)]
    fn sample(secret: u8) -> Self {
        Self::new(&[secret; 32], &[secret.wrapping_add(1); 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_key_and_each_service_its_own() {
        let (keys, others) = (Keys::sample(1), Keys::sample(7));
        let uid = Uid::v7(1, [1; 10]);
        assert_eq!(keys.of_message(&uid), Keys::sample(1).of_message(&uid));
        assert_ne!(keys.of_message(&uid), keys.of_message(&Uid::v7(2, [1; 10])));
        assert_ne!(keys.of_message(&uid), others.of_message(&uid));
    }

    #[test]
    fn a_claim_is_signed_by_the_service_and_by_nobody_else() {
        let keys = Keys::sample(1);
        let signature = keys.sign_claim(b"claim");
        assert!(keys.is_claim(b"claim", &signature));
        assert!(!keys.is_claim(b"claim!", &signature) && !keys.is_claim(b"claim", &signature[..31]));
        assert!(!Keys::sample(2).is_claim(b"claim", &signature) && !keys.is_claim(b"claim", b""));
    }
}
