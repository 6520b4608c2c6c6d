//! Images: those of the Dockerfile, and the official ones in their places.

use super::context;
use super::engine;
use super::major;
use super::names::Names;
use crate::checkout::Checkout;
use crate::debian::{BOOKWORM, Release};
use crate::failure::Outcome;
use crate::{cargo, progress, services};

/// The log of the builds.
const LOG: &str = "logs/images.log";

/// True if the engine has an image.
pub fn is_there(checkout: &Checkout, tag: &str) -> bool {
    id(checkout, tag).is_some()
}

/// The id of an image.
pub fn id(checkout: &Checkout, tag: &str) -> Option<String> {
    engine::try_ask(checkout, &["image", "inspect", "--format", "{{.Id}}", tag])
}

/// Builds the image of a target of the Dockerfile.
pub fn build(checkout: &Checkout, target: &str, tag: &str) -> Outcome {
    build_of(checkout, target, tag, "main")
}

fn build_of(checkout: &Checkout, target: &str, tag: &str, service: &str) -> Outcome {
    // Changes of the sources while an image is made would come half into it.
    let _lock = checkout.lock("images")?;
    let given = context::is_given(checkout)?;
    if given {
        cargo::build(checkout, "building the programs", &["--bins", "--lib"])?;
    }
    let debian = release_of(checkout, target)?;
    let folder = context::make(checkout, target, service, debian)?;
    let mut build = engine::docker(checkout, &["build", "--target", target, "--tag", tag]);
    build.arg("--file").arg(folder.join("docker/Dockerfile"));
    let setting = |key: &str| checkout.settings.get(key);
    if given {
        build.args(["--build-arg", "BINARIES=given", "--build-arg"]);
        // There is nothing to compile.
        let base = setting("BASE_IMAGE").unwrap_or_else(|| format!("debian:{}-slim", debian.name));
        build.arg(format!("BUILD_IMAGE={base}"));
    }
    for key in ["BUILD_IMAGE", "BASE_IMAGE", "POSTGRES_IMAGE"] {
        if let Some(value) = setting(key).filter(|_| !(given && key == "BUILD_IMAGE")) {
            // A base of the user's own may be there for several releases.
            let value = value.replace("${DEBIAN}", debian.name);
            build.arg("--build-arg").arg(format!("{key}={value}"));
        }
    }
    if debian != BOOKWORM {
        build.arg("--build-arg").arg(format!("PG={}", debian.postgres));
        build.arg("--build-arg").arg(format!("DEBIAN={}", debian.name));
    }
    if services::is_ready_made(service) {
        build.arg("--build-arg").arg(format!("READY_MADE={service}"));
    }
    build.arg("--build-arg").arg(format!("PROGRAM={}", services::program(checkout, service))).arg(&folder);
    progress::logged(checkout, LOG, &format!("building the image {tag}"), build)
}

/// The Debian of the image of a target: with the chosen PostgreSQL, if it has any.
fn release_of(checkout: &Checkout, target: &str) -> Outcome<Release> {
    if context::has_extension(target) { major::chosen(checkout) } else { Ok(BOOKWORM) }
}

/// The tag of an image with the extension, such as `tpro_extension:local`, or
/// `tpro_extension_17:local` and `tpro_postgres_17:local`.
pub fn tag_with_extension(checkout: &Checkout, what: &str) -> Outcome<String> {
    Ok(Names::of(checkout)?.image(&major::chosen(checkout)?.named(what)))
}

/// Builds the image of a service in this version.
pub fn build_service(checkout: &Checkout, service: &str, version: &str) -> Outcome {
    let tag = Names::of(checkout)?.service_image(service, version)?;
    build_of(checkout, "service", &tag, service)
}

/// The image of a part: the one that the user names by `setting`, or ours, which is built if
/// `renewed` or if it is not there.
pub fn of_part(checkout: &Checkout, part: &str, setting: &str, renewed: bool) -> Outcome<String> {
    if let Some(official) = checkout.settings.get(setting) {
        return Ok(official);
    }
    let tag = Names::of(checkout)?.image(part);
    if renewed || !is_there(checkout, &tag) {
        build(checkout, part, &tag)?;
    }
    Ok(tag)
}

/// The target of the Dockerfile for PostgreSQL, and the name of its image.
fn postgres_target(checkout: &Checkout) -> (&'static str, &'static str) {
    match checkout.settings.get("POSTGRES_IMAGE") {
        Some(_) => ("postgres-official", "postgres_official"),
        None => ("postgres", "postgres"),
    }
}

/// The tag of the image of PostgreSQL.
pub fn postgres_tag(checkout: &Checkout) -> Outcome<String> {
    tag_with_extension(checkout, postgres_target(checkout).1)
}

/// The image of PostgreSQL with the extension: ours, or the official one that the user names with
/// the extension put into it.
pub fn of_postgres(checkout: &Checkout, renewed: bool) -> Outcome<String> {
    let (target, tag) = (postgres_target(checkout).0, postgres_tag(checkout)?);
    if renewed || !is_there(checkout, &tag) {
        build(checkout, target, &tag)?;
    }
    Ok(tag)
}
