//! SQL for a person: psql as the service main, or as the local superuser.

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::{chosen, cluster, psql, ready, services};

/// Puts psql in the place of this process: as AS says, else as main.
pub fn open(checkout: &Checkout) -> Outcome {
    match checkout.settings.get("AS").as_deref().unwrap_or("main") {
        "main" => as_main(checkout),
        "postgres" => {
            checkout.screen.hush();
            checkout.screen.to_stderr(|| cluster::up(checkout))?;
            psql::be_superuser(checkout)
        }
        other => {
            fail(format!("AS={other}: make psql is as main, or with AS=postgres as the local superuser"))
        }
    }
}

/// As main; who has a database of one's own set for main, there.
fn as_main(checkout: &Checkout) -> Outcome {
    if let Some(url) = chosen::by_user(checkout, "DATABASE_URL", Some("main")) {
        return psql::be_at(checkout, &url, false);
    }
    checkout.screen.to_stderr(|| ready::database(checkout, "main"))?;
    let url = services::env_file(checkout, "main").get("DATABASE_URL");
    psql::be_at(checkout, &url.context("services/main/.env has no DATABASE_URL")?, true)
}
