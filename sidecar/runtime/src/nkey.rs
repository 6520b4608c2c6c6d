//! The keys of NATS (NKEY): a login is a signature over a word of the server, and the key never
//! leaves this process.
//!
//! The form of keys: <https://github.com/nats-io/nkeys>. A seed is base32 of two bytes that name
//! the kind, 32 bytes of an Ed25519 seed, and a checksum; a public key is the same with one byte
//! before it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// The kinds, as the first bits of a key.
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;
/// Letters of a seed.
const LETTERS: usize = 58;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The rules that a file breaks.
const NO_SEED: &str = "has no seed of a user's NKEY (58 letters that begin with SU)";
const NO_JWT: &str = "has no credentials: the JWT of a user between its marks, and the seed of its NKEY";

/// The key of a user, which signs its logins.
pub struct Signer {
    /// The server's knowledge of the user, for a server that has none of its own.
    jwt: Option<String>,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of a file with credentials, as `nsc` writes it.
    pub fn of_credentials(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines().map(str::trim);
        let begins = |line: &str| line.starts_with("---") && line.contains("BEGIN NATS USER JWT");
        lines.find(|line| begins(line)).ok_or(NO_JWT)?;
        let jwt =
            lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("---")).ok_or(NO_JWT)?;
        Ok(Self { jwt: Some(jwt.to_owned()), pair: pair(text)? })
    }

    /// The key of a file with a seed.
    pub fn of_seed(text: &str) -> Result<Self, &'static str> {
        Ok(Self { jwt: None, pair: pair(text)? })
    }

    /// The fields of the login at a server that has sent this word.
    pub fn fields(&self, nonce: &str) -> [(&'static str, String); 2] {
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(nonce.as_bytes()));
        let who = match &self.jwt {
            Some(jwt) => ("jwt", jwt.clone()),
            None => ("nkey", public(self.pair.public_key().as_ref())),
        };
        [who, ("sig", signature)]
    }
}

fn pair(text: &str) -> Result<Ed25519KeyPair, &'static str> {
    let words = text.split_whitespace();
    let mut seeds = words.filter(|word| word.len() == LETTERS && word.starts_with("SU")).map(seed);
    let seed = seeds.next().flatten().ok_or(NO_SEED)?;
    Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NO_SEED)
}

/// The 32 bytes of a user's seed.
fn seed(word: &str) -> Option<[u8; 32]> {
    let bytes = decode(word)?;
    let (key, checksum) = bytes.split_last_chunk::<2>()?;
    let kind = key.first()? << 5 | key.get(1)? >> 3;
    let right = u16::from_le_bytes(*checksum) == crc(key) && key[0] & 0xf8 == SEED && kind == USER;
    key.get(2..)?.try_into().ok().filter(|_| right)
}

/// A public key in letters.
fn public(key: &[u8]) -> String {
    let mut bytes = [&[USER][..], key].concat();
    bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
    encode(&bytes)
}

fn decode(word: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in word.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    let (mut word, mut bits, mut count) = (String::new(), 0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            word.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        word.push(char::from(ALPHABET[(bits << (5 - count) & 31) as usize]));
    }
    word
}

/// CRC-16 (XMODEM).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed of 32 zeros, in letters.
    fn seed_of_zeros(kind: u8) -> String {
        let mut bytes = vec![SEED | kind >> 5, kind << 3];
        bytes.extend([0; 32]);
        bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
        encode(&bytes)
    }

    #[test]
    fn a_key_is_written_and_read_as_nats_has_it() {
        assert_eq!(crc(b"123456789"), 0x31c3);
        let word = seed_of_zeros(USER);
        assert!(word.len() == LETTERS && word.starts_with("SU"), "{word}");
        assert_eq!(seed(&word), Some([0; 32]));
        let [(name, key), (_, signature)] = Signer::of_seed(&word).unwrap().fields("nonce");
        assert!(name == "nkey" && key.len() == 56 && key.starts_with('U'), "{key}");
        assert_eq!(signature.len(), 86);
    }

    #[test]
    fn what_is_no_key_of_a_user_is_refused() {
        let word = seed_of_zeros(USER);
        let other = if word.ends_with('A') { 'B' } else { 'A' };
        let wrong = format!("{}{other}A", &word[..LETTERS - 2]);
        for text in [String::new(), "SU".to_owned(), seed_of_zeros(0), wrong, word.to_lowercase()] {
            assert_eq!(Signer::of_seed(&text).err(), Some(NO_SEED), "{text}");
        }
        assert_eq!(Signer::of_credentials(&word).err(), Some(NO_JWT));
    }

    #[test]
    fn credentials_are_a_jwt_and_a_seed() {
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.e30.sig\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            seed_of_zeros(USER)
        );
        let [jwt, (name, _)] = Signer::of_credentials(&text).unwrap().fields("nonce");
        assert_eq!((jwt, name), (("jwt", "eyJ0.e30.sig".to_owned()), "sig"));
    }
}
