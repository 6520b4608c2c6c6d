//! The releases of a service: an image for each version.

use super::engine;
use super::names::Names;
use crate::checkout::Checkout;
use crate::failure::Outcome;

/// The versions that there are images of, in this MODE, newest first.
pub fn kept(checkout: &Checkout, service: &str) -> Outcome<Vec<String>> {
    let names = Names::of(checkout)?;
    let tags = engine::try_ask(checkout, &["images", "--format", "{{.Tag}}", &names.service_images(service)])
        .unwrap_or_default();
    let before = format!("{}-", names.mode);
    Ok(tags.lines().filter_map(|tag| tag.strip_prefix(&before)).map(str::to_owned).collect())
}
