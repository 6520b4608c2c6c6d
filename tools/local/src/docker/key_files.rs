//! The files of certificates, keys and logins that the settings of a service name. A copy in its
//! container is handed copies of them, and settings that lead there.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use tpro_tls::parameters::{self, Parameters};
use tpro_tls::{Named, shown};

use super::private;
use crate::checkout::Checkout;
use crate::chosen;
use crate::failure::{Context as _, Failure, Outcome};
use crate::services;

/// Their folder in the container: docker/service.yml has it.
const FOLDER: &str = "/run/tpro/files";

/// The way in which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Everybody may read it.
    Open,
    /// Only its owner may, as the programs themselves insist.
    Secret,
}

/// The settings of NATS that name a file.
const OF_NATS: [(&str, Kind); 5] = [
    ("NATS_CA", Kind::Open),
    ("NATS_CERT", Kind::Open),
    ("NATS_KEY", Kind::Secret),
    ("NATS_CREDS", Kind::Secret),
    ("NATS_NKEY", Kind::Secret),
];

/// The files of a service, as they are now.
#[derive(Default)]
pub struct KeyFiles {
    files: Vec<KeyFile>,
    /// The address of the database, if it names some of them: with their places in the container.
    address: Option<String>,
}

struct KeyFile {
    /// The setting, or the parameter of the address. It is the name of the copy, too.
    setting: &'static str,
    content: Vec<u8>,
}

impl KeyFiles {
    /// Reads them. Fails for one that the service could not read either.
    pub fn of(checkout: &Checkout, service: &str) -> Outcome<Self> {
        let file = services::env_file(checkout, service);
        let setting = |key: &str| {
            let of_environment = checkout.settings.get(key).map(|value| value.trim().to_owned());
            of_environment.or_else(|| file.get(key).filter(|value| !value.trim().is_empty()))
        };
        let mut it = Self::default();
        for (key, kind) in OF_NATS {
            if let Some(path) = setting(key) {
                it.take(checkout, service, key, kind, &path, "")?;
            }
        }
        let is_chosen = chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_some();
        let address = setting("DATABASE_URL").filter(|_| is_chosen).unwrap_or_default();
        it.take_of_postgres(checkout, service, &address, &setting)?;
        Ok(it)
    }

    /// A parameter of the address wins over the variable.
    fn take_of_postgres(
        &mut self,
        checkout: &Checkout,
        service: &str,
        address: &str,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Outcome {
        let (rest, mut of_address) = parameters::take(address);
        let mode = of_address.mode.clone().or_else(|| setting("PGSSLMODE"));
        if mode.as_deref() == Some("disable") {
            // Nobody reads them then.
            return Ok(());
        }
        let Parameters { root, certificate, key, .. } = &mut of_address;
        let all = [
            ("sslrootcert", root, "PGSSLROOTCERT", Kind::Open),
            ("sslcert", certificate, "PGSSLCERT", Kind::Open),
            ("sslkey", key, "PGSSLKEY", Kind::Secret),
        ];
        let mut is_changed = false;
        for (parameter, value, variable, kind) in all {
            let (name, path, from) = match value {
                Some(path) => (parameter, path.clone(), ", a parameter of DATABASE_URL"),
                None => match setting(variable) {
                    Some(path) => (variable, path, ""),
                    None => continue,
                },
            };
            if variable == "PGSSLROOTCERT" && path == "system" {
                continue;
            }
            self.take(checkout, service, name, kind, &path, from)?;
            if let Some(place) = value {
                *place = inside(parameter);
                is_changed = true;
            }
        }
        self.address = is_changed.then(|| parameters::put(&rest, &of_address));
        Ok(())
    }

    /// Reads a file. A path that is not absolute begins at the checkout, where natively a copy
    /// runs.
    fn take(
        &mut self,
        checkout: &Checkout,
        service: &str,
        setting: &'static str,
        kind: Kind,
        path: &str,
        from: &str,
    ) -> Outcome {
        let file = Named { setting, path: checkout.path(path) };
        let content = match kind {
            Kind::Open => file.read(),
            Kind::Secret => file.read_secret(),
        };
        let content = content.map_err(|problem| {
            let (path, rule) = (shown(path), problem.rule);
            Failure::new(format!("{setting}={path} of {service}{from}: {rule}"))
        })?;
        self.files.push(KeyFile { setting, content });
        Ok(())
    }

    /// Writes the copies into this folder, and leaves nothing else in it.
    pub fn write(&self, folder: &Path) -> Outcome {
        let making = || format!("making {}", folder.display());
        fs::create_dir_all(folder).context(making())?;
        private::give(folder)?;
        for file in &self.files {
            private::replace(&folder.join(file.setting), &file.content)?;
        }
        let is_ours = |name: &OsStr| self.files.iter().any(|file| name == file.setting);
        for entry in fs::read_dir(folder).context(making())? {
            let entry = entry.context(making())?;
            if !is_ours(&entry.file_name()) {
                fs::remove_file(entry.path()).context(format!("removing {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    /// The settings that lead to the copies.
    pub fn settings(&self) -> impl Iterator<Item = (&str, String)> {
        let variables = self.files.iter().filter(|file| !file.setting.starts_with("ssl"));
        let address = self.address.iter().map(|address| ("DATABASE_URL", address.clone()));
        variables.map(|file| (file.setting, inside(file.setting))).chain(address)
    }
}

/// The place of a copy in the container.
fn inside(setting: &str) -> String {
    format!("{FOLDER}/{setting}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    use super::*;
    use crate::settings::Settings;

    /// A checkout with these lines in the settings of main. It goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str, lines: &str) -> Self {
            let root = std::env::temp_dir().join(format!("tpro-local-keys-{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("services/main")).unwrap();
            fs::create_dir_all(root.join("keys")).unwrap();
            let place = Self(root);
            place.put("services/main/.env", lines, 0o600);
            place
        }

        fn put(&self, path: &str, text: &str, mode: u32) {
            let path = self.0.join(path);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn read(&self, environment: &[(&str, &str)]) -> Outcome<KeyFiles> {
            let mut settings = Settings::default();
            environment.iter().for_each(|(key, value)| settings.set(key, *value));
            KeyFiles::of(&Checkout::open(self.0.clone(), settings)?, "main")
        }

        fn refusal(&self, environment: &[(&str, &str)]) -> String {
            self.read(environment).err().expect("a refusal").to_string()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn found(files: &KeyFiles) -> Vec<(&str, &[u8])> {
        files.files.iter().map(|file| (file.setting, &*file.content)).collect()
    }

    #[test]
    fn each_file_that_a_setting_names_is_handed_over_and_the_setting_leads_to_it() {
        let lines = "NATS_CA=keys/ca\nNATS_NKEY=keys/seed\nPGSSLROOTCERT=/nowhere/ca\nPGSSLKEY=keys/key\n\
            DATABASE_URL='postgres://main:p@db/x?sslmode=verify-full&sslrootcert=keys%2Fca&connect_timeout=3'\n";
        let place = Place::new("all", lines);
        place.put("keys/ca", "the CA", 0o644);
        place.put("keys/seed", "the seed", 0o600);
        place.put("keys/key", "the key", 0o600);
        let absolute = place.0.join("keys/ca").display().to_string();
        // The environment wins, and blanks around a value do not count.
        let files = place.read(&[("NATS_CERT", &format!(" {absolute} ")), ("NATS_KEY", "  ")]).unwrap();
        let all = [
            ("NATS_CA", &b"the CA"[..]),
            ("NATS_CERT", b"the CA"),
            ("NATS_NKEY", b"the seed"),
            ("sslrootcert", b"the CA"),
            ("PGSSLKEY", b"the key"),
        ];
        assert_eq!(found(&files), all);
        let settings: Vec<(&str, String)> = files.settings().collect();
        let variables = ["NATS_CA", "NATS_CERT", "NATS_NKEY", "PGSSLKEY"];
        assert_eq!(settings[..4], variables.map(|key| (key, format!("/run/tpro/files/{key}"))));
        let (key, address) = &settings[4];
        let (rest, of_tls) = parameters::take(address);
        assert_eq!((*key, &*rest), ("DATABASE_URL", "postgres://main:p@db/x?connect_timeout=3"));
        assert_eq!(of_tls.mode.as_deref(), Some("verify-full"));
        assert_eq!(of_tls.root.as_deref(), Some("/run/tpro/files/sslrootcert"));

        // Only the owner reads the copies, and those of settings that are gone go.
        let folder = place.0.join("copies");
        files.write(&folder).unwrap();
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["NATS_CA", "NATS_CERT", "NATS_NKEY", "PGSSLKEY", "sslrootcert"]);
        let seed = folder.join("NATS_NKEY");
        assert_eq!(fs::metadata(&seed).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&seed).unwrap(), b"the seed");
        place.put("services/main/.env", "NATS_CA=keys/ca\n", 0o600);
        place.read(&[]).unwrap().write(&folder).unwrap();
        assert_eq!(names(), ["NATS_CA"]);
    }

    #[test]
    fn a_file_that_cannot_be_handed_over_is_told_in_one_line() {
        let place = Place::new("refused", "");
        place.put("keys/open", "the key", 0o644);
        let seed = "SUAA".repeat(14);
        for (environment, beginning, rule) in [
            (
                &[("NATS_CA", "keys/none")][..],
                "NATS_CA=keys/none of main: ",
                "there is no file of this name; correct the path",
            ),
            (&[("NATS_CREDS", "/none/creds")], "NATS_CREDS=/none/creds of main: ", "there is no file"),
            (&[("NATS_KEY", "keys/open")], "NATS_KEY=keys/open of main: ", "chmod 0600"),
            (&[("NATS_NKEY", &*seed)], "NATS_NKEY=*** of main: ", "there is no file"),
            (&[("NATS_CERT", "keys")], "NATS_CERT=keys of main: ", "cannot be read"),
            (
                &[("PGSSLKEY", "keys/open"), ("PGSSLMODE", "require")],
                "PGSSLKEY=keys/open of main: ",
                "chmod 0600",
            ),
            (
                &[("DATABASE_URL", "host=db sslmode=verify-ca sslrootcert=keys/none")],
                "sslrootcert=keys/none of main, a parameter of DATABASE_URL: ",
                "there is no file",
            ),
        ] {
            let refusal = place.refusal(environment);
            assert!(refusal.starts_with(beginning) && refusal.contains(rule), "{refusal}");
            assert!(!refusal.contains('\n') && !refusal.contains(&seed), "{refusal}");
        }
    }

    #[test]
    fn no_file_is_looked_for_that_nobody_reads() {
        let place = Place::new("unread", "PGSSLROOTCERT=/none/ca\nPGSSLKEY=/none/key\n");
        for environment in [
            &[("PGSSLMODE", "disable")][..],
            &[("DATABASE_URL", "postgres://db/x?sslmode=disable&sslcert=/none"), ("PGSSLMODE", "require")],
        ] {
            let files = place.read(environment).unwrap();
            assert_eq!((found(&files).len(), files.settings().count()), (0, 0));
        }
        // The CAs of the system are those of the image.
        let system = [("PGSSLROOTCERT", "system"), ("PGSSLKEY", "  ")];
        place.put("services/main/.env", "", 0o600);
        assert_eq!(found(&place.read(&system).unwrap()).len(), 0);
    }
}
