//! `make create-NAME`, `create-env-NAME` and `create-sql-NAME` with a database in a container.

use super::{extension, postgres, schema};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::service_settings::{self, Told};
use crate::{chosen, new_service, services};

/// Makes the crate, its settings, and its schema.
pub fn create(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be_name(name)?;
    if new_service::is_to_be_in_sql(checkout) {
        return fail("LANG=sql makes a service that runs without RUNTIME=docker: leave RUNTIME out");
    }
    new_service::make_crate(checkout, name)?;
    checkout.screen.say(format!("      services/{name} made from the template"));
    service_settings::create(checkout, name, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(name)).is_none() {
        create_sql(checkout, name)?;
    }
    checkout.screen.say(format!(
        "      make up-{name} runs it; what it answers is in services/{name}/src/handlers_subscribe.rs"
    ));
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
