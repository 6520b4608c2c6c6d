//! The context of a build of images: the checkout, or with BINARIES=given a folder with the
//! programs that cargo has built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tpro_servers::extension::Files;
use tpro_servers::files::remove;

use crate::cargo;
use crate::checkout::Checkout;
use crate::debian::Release;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::pg_config::{self, PgConfig};
use crate::services;
use crate::settings::shortened;

/// The certificates that a service trusts, of this machine.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// True if the images get programs that cargo has built here, and compile none.
pub fn is_given(checkout: &Checkout) -> Outcome<bool> {
    match checkout.settings.get("BINARIES").as_deref() {
        None | Some("compiled") => Ok(false),
        Some("given") => Ok(true),
        Some(other) => Err(Failure::new(format!("BINARIES={} is not known", shortened(other)))
            .remedy("say given for the programs of target/debug (on Debian 12), or leave it out")),
    }
}

/// The folder of the context for a target of the Dockerfile, on this Debian, with all that belongs
/// into it. Of given programs there are only those of the target: the builder copies each several
/// times.
pub fn make(checkout: &Checkout, target: &str, service: &str, debian: Release) -> Outcome<PathBuf> {
    if !is_given(checkout)? {
        return Ok(checkout.root.clone());
    }
    let name = if target == "service" { service } else { target };
    let context = checkout.path(".local/docker/context").join(name);
    let given = context.join("given");
    for folder in ["bin", "certificates", "extension"] {
        make_folder(&given.join(folder))?;
    }
    let of_service = services::program(checkout, service);
    for (program, its_target) in [(&*of_service, "service"), ("tpro-viewer", "jaeger"), ("tpro-demo", "demo")]
    {
        let place = given.join("bin").join(program);
        if target == its_target {
            put(checkout, &cargo::profile(checkout).join(program), &place, true)?;
        } else {
            // The older builder makes all targets that stand before this one, too.
            fs::write(&place, "").context(format!("writing {}", place.display()))?;
        }
    }
    if target == "service" && Path::new(CERTIFICATES).exists() {
        put(checkout, Path::new(CERTIFICATES), &given.join("certificates/ca-certificates.crt"), false)?;
    }
    if has_extension(target) {
        put_extension(checkout, &given, debian.postgres)?;
    }
    let docker = context.join("docker");
    remove(&docker)?;
    copy_folder(&checkout.path("docker"), &docker)?;
    Ok(context)
}

/// True if the image of this target has the extension.
pub fn has_extension(target: &str) -> bool {
    ["postgres", "postgres-official", "extension"].contains(&target)
}

fn put_extension(checkout: &Checkout, given: &Path, postgres: u32) -> Outcome {
    if postgres == 13 {
        return Err(Failure::new("PG=13 with BINARIES=given: Debian 11, which has PostgreSQL 13, loads no library of a newer Debian")
            .remedy("leave BINARIES=given out"));
    }
    let PgConfig { version, major, .. } = pg_config::checked(checkout)?;
    if major != postgres {
        return Err(Failure::new(format!(
            "the extension is built for {version}, and the image has PostgreSQL {postgres}"
        ))
        .remedy(format!("set PG_CONFIG to a PostgreSQL {postgres}, or PG={major} if the image can have that, or leave BINARIES=given out")));
    }
    let files = Files {
        library: cargo::profile(checkout).join("libpg_tpro.so"),
        libraries: given.join(format!("extension/usr/lib/postgresql/{postgres}/lib")),
        share: given.join(format!("extension/usr/share/postgresql/{postgres}")),
    };
    for file in files.placed(&checkout.root)? {
        file.to.parent().map_or(Ok(()), make_folder)?;
        put(checkout, &file.from, &file.to, file.from == files.library)?;
    }
    Ok(())
}

/// Puts a file in its place, without symbols if it is a program; one that is as new stays.
fn put(checkout: &Checkout, from: &Path, to: &Path, is_program: bool) -> Outcome {
    let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    if time(to).is_some() && time(to) == time(from) {
        return Ok(());
    }
    let putting = || format!("copying {} to {}", from.display(), to.display());
    let new = to.with_added_extension("new");
    if is_program {
        let mut strip = checkout.command("strip");
        strip.arg("--strip-debug").arg("-o").arg(&new).arg("--").arg(from).stdin(Stdio::null());
        if !strip.status().context(putting())?.success() {
            return fail(format!("{} failed", putting()));
        }
    } else {
        fs::copy(from, &new).context(putting())?;
    }
    let set_time = || {
        let modified = fs::metadata(from)?.modified()?;
        fs::File::options().write(true).open(&new)?.set_modified(modified)?;
        fs::rename(&new, to)
    };
    set_time().context(putting())
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    let copying = || format!("copying {}", from.display());
    make_folder(to)?;
    for entry in fs::read_dir(from).context(copying())? {
        let path = entry.context(copying())?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).context(copying())?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Outcome {
    fs::create_dir_all(path).context(format!("making {}", path.display()))
}
