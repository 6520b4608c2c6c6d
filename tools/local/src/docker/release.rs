//! The releases of a service: an image for each version.

use super::names::Names;
use super::{engine, image};
use crate::checkout::Checkout;
use crate::failure::Outcome;

/// Makes the image of a version that the user names, unless it is there; any other is built.
pub fn take(checkout: &Checkout, service: &str, version: &str) -> Outcome {
    let tag = Names::of(checkout)?.service_image(service, version)?;
    let is_named = checkout.settings.get("SERVICE_VERSION").is_some();
    if is_named && image::is_there(checkout, &tag) && !checkout.settings.is_yes("REBUILD") {
        checkout.screen.say(format!(
            "      {service} {version}  is kept and started as it is (REBUILD=yes builds it again)"
        ));
        return Ok(());
    }
    image::build_service(checkout, service, version)
}

/// The versions that there are images of, in this MODE, newest first.
pub fn kept(checkout: &Checkout, service: &str) -> Outcome<Vec<String>> {
    let names = Names::of(checkout)?;
    let tags = engine::try_ask(checkout, &["images", "--format", "{{.Tag}}", &names.service_images(service)])
        .unwrap_or_default();
    let before = format!("{}-", names.mode);
    Ok(tags.lines().filter_map(|tag| tag.strip_prefix(&before)).map(str::to_owned).collect())
}
