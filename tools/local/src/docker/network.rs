//! The network of the containers.

use super::engine;
use super::names::Names;
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};

/// Makes the network unless it is there. One that the user names must be there.
pub fn need(checkout: &Checkout) -> Outcome {
    let Names { network, network_is_given, .. } = Names::of(checkout)?;
    let is_there =
        || engine::try_ask(checkout, &["network", "inspect", "--format", "{{.Id}}", &network]).is_some();
    if is_there() {
        return Ok(());
    }
    if network_is_given {
        return Err(Failure::new(format!("DCAPE_NET={network}: there is no network of this name"))
            .remedy(format!("docker network create {network}, or leave DCAPE_NET out")));
    }
    match engine::ask(checkout, &["network", "create", "--label", "tpro", &network]) {
        // Another command may have made it meanwhile.
        Err(failure) if !is_there() => Err(failure),
        _ => Ok(()),
    }
}

/// Removes the network, unless it is the user's.
pub fn remove(checkout: &Checkout) -> Outcome {
    let Names { network, network_is_given, .. } = Names::of(checkout)?;
    if !network_is_given {
        // It may not be there, or have guests.
        engine::try_ask(checkout, &["network", "rm", &network]);
    }
    Ok(())
}
