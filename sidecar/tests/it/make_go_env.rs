//! The `.env` of the Go system, as its users bring it along.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tpro_testkit::Outcome;

use crate::make_commands::Checkout;

const OLD: &str = "\
SERVICE_NAME=co
COPY_NUMBER=1
SERVICE_PORT=8182
LOG_FILE_NAME=./logs/co_service.log
DB_HOST=db.example.org
DB_NAME=app
DB_USER=app
DB_PASSWORD=s3cr3t-canary
URL_NATS=nats.example.org
TOKEN_NATS=s3cr3t-canary
TOTAL_WAIT_NATS=9
MODE=local
";

#[test]
fn a_file_of_the_go_system_is_converted_once_and_the_old_one_stays() -> Outcome {
    let checkout = Checkout::new("go-env")?;
    let (file, kept) = (checkout.root.join("services/co/.env"), checkout.root.join("services/co/.env.go"));
    fs::write(&file, OLD)?;
    let told = checkout.well(&["create-env-co"])?;
    for text in [
        "services/co/.env converted from the Go system; the old file is services/co/.env.go",
        "DB_HOST is PGHOST now",
        "URL_NATS is NATS_URL now",
        "TOTAL_WAIT_NATS is gone",
        "MODE goes into the .env of the checkout",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    assert_eq!(fs::read_to_string(&kept)?, OLD);
    for path in [&file, &kept] {
        assert_eq!(fs::metadata(path)?.permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let new = fs::read_to_string(&file)?;
    for line in ["PGHOST=db.example.org", "NATS_URL=nats.example.org", "NATS_TOKEN=s3cr3t-canary"] {
        assert!(new.lines().any(|it| it == line), "{line}: {new}");
    }
    // A file that was converted is not converted again.
    let told = checkout.well(&["create-env-co"])?;
    assert!(!told.contains("converted"), "{told}");
    assert_eq!(fs::read_to_string(&file)?, new);
    // A second old file is not converted over the first.
    fs::write(&file, OLD)?;
    let (well, told) = checkout.call("make", &["create-env-co"], &[])?;
    assert!(!well && told.contains("move services/co/.env.go away"), "{told}");
    Ok(())
}
