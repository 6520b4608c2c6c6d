//! `make up`, `make down` and the images of all of it.

use super::names::Names;
use super::{container, context, image, jaeger, major, nats, network, postgres, service};
use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::setup::{self, Use};
use crate::{chosen, release, services, state};

/// Starts all services and what they need. A ready-made one is among them if it has a `.env`.
pub fn up(checkout: &mut Checkout) -> Outcome {
    // Before the images, which take minutes.
    major::must_not_change(checkout)?;
    checkout.screen.steps(2);
    let names = services::wanted(checkout);
    checkout.screen.step("Images (a first build takes minutes; its output is in logs/images.log)");
    build(checkout, &names)?;
    checkout.screen.step(format!("Starting {} and what they need", names.join(" ")));
    names.iter().try_for_each(|name| service::up(checkout, name))?;
    checkout.screen.step_done();
    checkout.screen.say("make status shows what runs, make down ends it.");
    Ok(())
}

/// Builds the images of these services and of what they need; nothing after it builds again.
pub fn build(checkout: &mut Checkout, services: &[String]) -> Outcome {
    if context::is_given(checkout)? {
        setup::install(checkout, Use::Services)?;
    }
    let is_local =
        |key: &str| services.iter().any(|name| chosen::by_user(checkout, key, Some(name)).is_none());
    if is_local("DATABASE_URL") {
        image::of_postgres(checkout, true)?;
    }
    if is_local("NATS_URL") {
        image::of_part(checkout, "nats", "NATS_IMAGE", true)?;
    }
    if is_local("OTEL_EXPORTER_OTLP_ENDPOINT") {
        image::of_part(checkout, "jaeger", "JAEGER_IMAGE", true)?;
    }
    for name in services {
        image::build_service(checkout, name, &release::version(checkout, name)?)?;
    }
    checkout.settings.set("IMAGES_BUILT", "yes");
    Ok(())
}

/// Builds all images, and says what they are called.
pub fn images(checkout: &mut Checkout) -> Outcome {
    let services = services::wanted(checkout);
    build(checkout, &services)?;
    let names = Names::of(checkout)?;
    let extension = image::tag_with_extension(checkout, "extension")?;
    image::build(checkout, "extension", &extension)?;
    image::build(checkout, "demo", &names.image("demo"))?;
    for name in services {
        checkout.screen.say(names.service_image(&name, &release::version(checkout, &name)?)?);
    }
    checkout.screen.say(image::postgres_tag(checkout)?);
    checkout.screen.say(extension);
    for part in ["nats", "jaeger", "demo"] {
        checkout.screen.say(names.image(part));
    }
    Ok(())
}

/// Stops all of it and removes the containers. Data stays.
pub fn down(checkout: &Checkout) -> Outcome {
    for name in services::all(checkout) {
        service::down(checkout, &name)?;
    }
    jaeger::stop(checkout)?;
    nats::stop(checkout)?;
    postgres::stop(checkout)?;
    let names = Names::of(checkout)?;
    for part in ["jaeger", "nats", "postgres"] {
        let name = names.part(part);
        if container::must_be_ours(checkout, &name).is_ok() {
            container::remove(checkout, &name)?;
            if part == "jaeger" {
                state::forget(checkout, part);
            }
        }
    }
    network::remove(checkout)
}
