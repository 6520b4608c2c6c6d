//! Logins at NATS that are signed: an NKEY by itself, and credentials of a user of an account.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tpro_testkit::certificates::secret;
use tpro_testkit::ports::free_port;
use tpro_testkit::{
    Context, Nats, Outcome, Process, Sidecar, SidecarProcess, Signal, World, eventually, http,
};

use crate::login;
use crate::start::{assert_one_clear_line, main, refused};

/// The kinds of keys.
const OPERATOR: u8 = 14 << 3;
const ACCOUNT: u8 = 0;
pub const USER: u8 = 20 << 3;

/// A key as NATS writes it.
pub struct Key {
    pub seed: String,
    pub public: String,
    pair: Ed25519KeyPair,
}

impl Key {
    pub fn new(kind: u8) -> Outcome<Key> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok().context("no random numbers")?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&bytes).ok().context("no key")?;
        let seed = letters(&[&[18 << 3 | kind >> 5, kind << 3][..], &bytes].concat());
        let public = letters(&[&[kind][..], pair.public_key().as_ref()].concat());
        Ok(Key { seed, public, pair })
    }

    /// A JWT about this subject.
    fn vouches(&self, subject: &Key, about: Value) -> String {
        let code = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let head = code(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
        let claims = json!({"jti": "test", "iat": 1, "iss": self.public, "sub": subject.public, "name": "test", "nats": about});
        let text = format!("{head}.{}", code(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

/// Base32, with the checksum behind it.
fn letters(bytes: &[u8]) -> String {
    let mut sum = 0u16;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
        }
    }
    let bits: String =
        [bytes, &sum.to_le_bytes()].concat().iter().map(|byte| format!("{byte:08b}")).collect();
    let letter = |at: usize| {
        let part = format!("{:0<5}", &bits[at..bits.len().min(at + 5)]);
        let value = u8::from_str_radix(&part, 2).expect("five bits");
        char::from(if value < 26 { b'A' + value } else { b'2' + value - 26 })
    };
    (0..bits.len()).step_by(5).map(letter).collect()
}

/// Starts a copy that logs in by this file.
async fn start(
    world: &World,
    service: &str,
    setting: &str,
    file: &Path,
    url: &str,
) -> Outcome<Arc<SidecarProcess>> {
    world.start(logged_in(world.sidecar(service)?, setting, file, url)).await
}

fn logged_in(sidecar: Sidecar, setting: &str, file: &Path, url: &str) -> Sidecar {
    sidecar.without("NATS_TOKEN").env("NATS_URL", url).env(setting, file.display())
}

#[tpro_testkit::test]
async fn a_copy_logs_in_by_an_nkey_and_signs_again_after_each_loss() -> Outcome {
    let (known, unknown) = (Key::new(USER)?, Key::new(USER)?);
    let nats = Nats::options().user(&format!("{{ nkey: \"{}\" }}", known.public));
    let world = World::options().nats(nats).start().await?;
    world.database.load_demo().await?;
    let (file, other) = (world.folder().join("known.nk"), world.folder().join("unknown.nk"));
    secret(&file, &known.seed)?;
    secret(&other, &unknown.seed)?;
    let url = world.nats.url();

    let said = refused(&world, logged_in(main(&world)?, "NATS_NKEY", &other, &url)).await?;
    assert_one_clear_line(&said, "NATS_NKEY");
    let seed = PathBuf::from(&known.seed);
    let said = refused(&world, logged_in(main(&world)?, "NATS_NKEY", &seed, &url)).await?;
    assert_one_clear_line(&said, "NATS_NKEY");
    assert!(
        ![said.log, said.stderr].concat().contains(&known.seed),
        "a seed that was put for its file is told"
    );

    let copy = start(&world, "main", "NATS_NKEY", &file, &url).await?;
    let analytic = start(&world, "analytic", "NATS_NKEY", &file, &url).await?;
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");
    world.nats.kill().await?;
    world.nats.start().await?;
    assert_eq!(world.ask(&login::request("simple").timeout(60)).await?.status, "ok");
    world.finish(&[&copy, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_logs_in_by_a_file_of_credentials() -> Outcome {
    let world = World::demo().await?;
    let (operator, account, user) = (Key::new(OPERATOR)?, Key::new(ACCOUNT)?, Key::new(USER)?);
    let none = -1;
    let limits = json!({"subs": none, "data": none, "payload": none, "imports": none, "exports": none,
        "wildcards": true, "conn": none, "leaf": none});
    let of_operator = operator.vouches(&operator, json!({"type": "operator", "version": 2}));
    let of_account = operator.vouches(&account, json!({"limits": limits, "type": "account", "version": 2}));
    let of_user = json!({"pub": {}, "sub": {}, "subs": none, "data": none, "payload": none, "type": "user", "version": 2});
    let of_user = account.vouches(&user, of_user);

    let (port, monitor) = (free_port()?, free_port()?);
    let configuration = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\noperator: {of_operator}\nresolver: MEMORY\n\
         resolver_preload {{ {}: {of_account} }}\n",
        account.public
    );
    let file = world.folder().join("operator.conf");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(&file);
    let log = world.folder().join("operator.log");
    let server = Process::start("nats-server", command, &log, Signal::KILL, None)?;
    eventually("nats-server is ready", async || {
        Ok(http::get(monitor, "/healthz").await.is_ok_and(|answer| answer.status == 200))
    })
    .await
    .map_err(|failure| failure.with_log(&log))?;

    let url = format!("nats://127.0.0.1:{port}");
    let credentials = world.folder().join("user.creds");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed
    );
    secret(&credentials, &text)?;
    let copy = start(&world, "main", "NATS_CREDS", &credentials, &url).await?;
    let analytic = start(&world, "analytic", "NATS_CREDS", &credentials, &url).await?;
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");
    world.finish(&[&copy, &analytic]).await?;
    drop(server);
    Ok(())
}
