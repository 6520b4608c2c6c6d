//! The extension in the database of the container: its image brings the files.

use std::time::Instant;

use super::sql;
use crate::checkout::Checkout;
use crate::extension_files;
use crate::failure::Outcome;
use crate::say::since;

/// Makes the extension, or brings it and the services to the release of the image.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("postgres")?;
    let installed = sql::ask(checkout, "SELECT extversion FROM pg_extension WHERE extname = 'pg_tpro'")?;
    let release = extension_files::release(checkout)?;
    if installed.is_empty() {
        sql::ask(checkout, "CREATE EXTENSION pg_tpro")?;
        checkout.screen.say(format!("      extension pg_tpro created in {}", since(at)));
        return Ok(());
    }
    if installed != release {
        sql::ask(checkout, "ALTER EXTENSION pg_tpro UPDATE")?;
        sql::ask(checkout, "CALL tpro.upgrade_services()")?;
        let took = since(at);
        checkout
            .screen
            .say(format!("      extension pg_tpro {installed} is {release} now, updated in {took}"));
        return Ok(());
    }
    checkout.screen.remark(format!("      extension pg_tpro {installed} is there"));
    Ok(())
}
