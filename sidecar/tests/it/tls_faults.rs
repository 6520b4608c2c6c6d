//! Certificates that are wrong, expired or missing: one line each, which names the setting.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tpro_testkit::account::Account;
use tpro_testkit::certificates::{Authority, Wanted, secret};
use tpro_testkit::{Nats, Outcome, Postgres, Sidecar, World};

use crate::start::{assert_one_clear_line, main, refused};
use crate::tls::{Files, text};

/// A start that must come to nothing: its settings, and words of the one line.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

fn with(sidecar: Sidecar, settings: &[(&str, &str)]) -> Sidecar {
    settings.iter().fold(sidecar, |sidecar, (key, value)| sidecar.env(key, value))
}

/// Each case by itself.
async fn each(world: &World, sidecar: &Sidecar, cases: &[Case<'_>]) -> Outcome {
    for (settings, words) in cases {
        let said = refused(world, with(sidecar.clone(), settings)).await?;
        for word in *words {
            assert_one_clear_line(&said, word);
        }
    }
    Ok(())
}

#[tpro_testkit::test]
async fn each_fault_of_tls_to_postgresql_ends_the_start_with_one_line() -> Outcome {
    let files = Files::new()?;
    let cluster = files.cluster().await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let stranger = Authority::new(&files.folder, "stranger")?;
    let unknown = stranger.issue("unknown", Wanted::client("main"))?;
    let expired = files.authority.issue("expired", Wanted::client("main").expired())?;
    let own = files.authority.issue("own", Wanted::client("main"))?;
    let open = files.folder.join("open.key");
    secret(&open, &fs::read_to_string(&own.key)?)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644))?;
    let port = cluster.port().to_string();
    let (ca, stranger) = (text(files.authority.file()), text(stranger.file()));
    let pair =
        |certificate| [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", ca), ("PGSSLCERT", certificate)];
    let named = [
        "host=other.example hostaddr=127.0.0.1 user=main sslmode=verify-full",
        &format!("port={port} dbname={} password={}", world.database.name(), cluster.role_password()),
        &format!("sslrootcert={ca}"),
    ]
    .join(" ");
    let (own_key, own) = (text(&own.key), text(&own.certificate));

    let sidecar = main(&world)?;
    each(
        &world,
        &sidecar,
        &[
            (
                &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "/none/ca.pem")],
                &["PGSSLROOTCERT=/none/ca.pem", "no file of this name"],
            ),
            (
                &[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", own_key)],
                &["PGSSLROOTCERT=", "no certificate"],
            ),
            (
                &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", stranger)],
                &["PGSSLROOTCERT=", "is of no CA in"],
            ),
            (&[("PGSSLMODE", "require"), ("PGSSLROOTCERT", stranger)], &["PGSSLROOTCERT=", "is of no CA in"]),
            (&[("DATABASE_URL", named.as_str())], &["DATABASE_URL", "not for other.example"]),
            (
                &[&pair(own)[..], &[("PGSSLKEY", text(&open))]].concat()[..],
                &["PGSSLKEY=", "mode is 0644", "chmod"],
            ),
            (
                &[&pair(own)[..], &[("PGSSLKEY", text(&unknown.key))]].concat()[..],
                &["PGSSLKEY=", "is not the key", "PGSSLCERT"],
            ),
            (&[&pair(own)[..], &[("PGSSLKEY", own)]].concat()[..], &["PGSSLKEY="]),
            (
                &[&pair(text(&expired.certificate))[..], &[("PGSSLKEY", text(&expired.key))]].concat()[..],
                &["PGSSLCERT=", "has expired"],
            ),
            (
                &[&pair(text(&unknown.certificate))[..], &[("PGSSLKEY", text(&unknown.key))]].concat()[..],
                &["PGSSLCERT=", "CA"],
            ),
            (&pair(own), &["PGSSLCERT", "PGSSLKEY"]),
        ],
    )
    .await?;

    crate::tls::only_with_certificates(&world).await?;
    each(
        &world,
        &sidecar,
        &[
            (&[], &["PGSSLMODE", "no encryption"]),
            (&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", ca)], &["PGSSLCERT", "client certificate"]),
        ],
    )
    .await?;
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_server_whose_certificate_has_expired_is_named() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let files = Files::new()?;
    let expired = files.authority.issue("expired", Wanted::server(&["127.0.0.1"]).expired())?;
    let ca = text(files.authority.file());

    let lines = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
        text(&expired.certificate),
        text(&expired.key)
    );
    let nats = Nats::options().line(&lines).start().await?;
    let url = nats.url().replace("nats://", "tls://");
    let nats = [("NATS_URL", url.as_str()), ("NATS_CA", ca), ("NATS_TOKEN", nats.token())];
    let sidecar = main(&world)?;
    each(&world, &sidecar, &[(&nats, &["NATS_URL", "has expired"])]).await?;

    Account::of_postgres()?.own(&expired.key)?;
    let cluster = Postgres::own()
        .set("ssl", "on")
        .set("ssl_cert_file", text(&expired.certificate))
        .set("ssl_key_file", text(&expired.key))
        .start()
        .await?;
    let url = cluster.superuser_url("postgres");
    let database = [("DATABASE_URL", url.as_str()), ("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", ca)];
    each(&world, &sidecar, &[(&database, &["DATABASE_URL", "has expired"])]).await?;
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn each_fault_of_tls_to_nats_ends_the_start_with_one_line() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let files = Files::new()?;
    let stranger = Authority::new(&files.folder, "stranger")?;
    let unknown = stranger.issue("unknown", Wanted::client("main"))?;
    let own = files.authority.issue("own", Wanted::client("main"))?;
    let nats = Nats::options().line(&files.nats_lines()).start().await?;
    let url = format!("tls://127.0.0.1:{}", nats.port());
    let by_name = format!("tls://localhost:{}", nats.port());
    let (ca, stranger) = (text(files.authority.file()), text(stranger.file()));
    let (certificate, key) = (text(&own.certificate), text(&own.key));
    let without = format!("tls://127.0.0.1:{}", world.nats.port());

    let sidecar = main(&world)?.env("NATS_TOKEN", nats.token()).env("NATS_URL", &url);
    let ours = [("NATS_CA", ca), ("NATS_CERT", certificate), ("NATS_KEY", key)];
    each(
        &world,
        &sidecar,
        &[
            (&[("NATS_CA", "/none/ca.pem")], &["NATS_CA=/none/ca.pem", "no file of this name"]),
            (&[("NATS_CA", stranger)], &["NATS_CA=", "is of no CA in"]),
            (&[("NATS_CA", ca)], &["NATS_CERT", "client certificate"]),
            (&[("NATS_CA", ca), ("NATS_CERT", certificate)], &["NATS_KEY"]),
            (&[("NATS_CA", ca), ("NATS_KEY", key)], &["NATS_CERT"]),
            (
                &[ours[0], ours[1], ("NATS_KEY", text(&unknown.key))],
                &["NATS_KEY=", "is not the key", "NATS_CERT"],
            ),
            (
                &[ours[0], ("NATS_CERT", text(&unknown.certificate)), ("NATS_KEY", text(&unknown.key))],
                &["NATS_CERT="],
            ),
            (
                &[ours[0], ours[1], ours[2], ("NATS_URL", by_name.as_str())],
                &["NATS_URL", "not for localhost"],
            ),
            (&[ours[0], ours[1], ours[2], ("NATS_URL", without.as_str())], &["NATS_URL", "has no TLS"]),
        ],
    )
    .await?;
    world.finish(&[]).await?;
    Ok(())
}
