//! `make create-NAME`, `create-env-NAME` and `create-sql-NAME` with a database in a container.

use super::{extension, postgres, schema};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::service_settings::{self, Told};
use crate::{chosen, new_service, services};

/// Makes the crate or the folder of SQL, its settings, and its schema.
pub fn create(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be_name(name)?;
    let answers = new_service::make(checkout, name)?;
    service_settings::create(checkout, name, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(name)).is_none() {
        create_sql(checkout, name)?;
    }
    checkout.screen.say(format!("      make up-{name} runs it; what it answers is in {}", answers.display()));
    Ok(())
}

/// Makes schema and login role.
pub fn create_sql(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(name)).is_some() {
        return fail(format!(
            "DATABASE_URL of {name} is your own: psql \"$DATABASE_URL\" -v name={name} -f sql/login.sql as a \
             superuser there makes role and schema (README: your own PostgreSQL)"
        ));
    }
    postgres::up(checkout, false)?;
    extension::up(checkout)?;
    schema::make(checkout, name)
}
