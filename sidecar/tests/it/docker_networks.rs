//! Copies in containers, each a host of its own, and networks between them that are cut.

use std::io::Write as _;
use std::process::Stdio;

use tpro_local::checkout::Checkout;
use tpro_local::docker::{engine, sql};
use tpro_testkit::ports::free_port;
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Failure, Outcome, Recon, eventually, http};

use crate::make_docker::{Installation, publish};

/// Messages that are published during each cut.
const MESSAGES: usize = 100;
/// An image that can change the routes of a container.
const ROUTER: &str =
    "FROM debian:bookworm-slim\nRUN apt-get update && apt-get install -y --no-install-recommends iproute2\n";

/// A copy, with the port on which it tells how it is.
struct Copy {
    container: String,
    port: u16,
}

impl Copy {
    /// Starts it.
    fn start(here: &Installation, service: &str, number: u32) -> Outcome<Self> {
        let port = free_port()?;
        let (shown, count) = (port.to_string(), number.to_string());
        let variables = [("SERVICE_PORT", &*shown), ("COPY_NUMBER", &count)];
        let goal = format!("up-{service}");
        let (well, told) = here.checkout.call("make", &[&goal], &variables)?;
        assert!(well, "COPY_NUMBER={number} make {goal} failed: {told}");
        Ok(Self { container: here.container(service, number), port })
    }

    /// Waits until it is ready, or until it is not.
    async fn is(&self, ready: bool) -> Outcome {
        let status = if ready { 200 } else { 503 };
        let what = format!("{} answers /readyz with {status}", self.container);
        eventually(&what, async || {
            Ok(http::get(self.port, "/readyz").await.is_ok_and(|answer| answer.status == status))
        })
        .await
    }
}

/// The means to cut a container off from an address.
struct Router {
    tag: String,
}

impl Router {
    fn build(local: &Checkout, project: &str) -> Outcome<Self> {
        // The name has the project in it, by which the end of the installation finds it.
        let tag = format!("{project}_router:test");
        let mut build = engine::docker(local, &["build", "--tag", &tag, "-"]);
        let mut build = build.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        build.stdin.take().context("the input of docker build")?.write_all(ROUTER.as_bytes())?;
        let built = build.wait_with_output()?;
        if !built.status.success() {
            let said = String::from_utf8_lossy(&built.stderr);
            return Err(Failure::new(format!("the image of the router was not built: {said}")));
        }
        Ok(Self { tag })
    }

    /// Has everything vanish that the container sends to the address (`add`), or no longer (`del`).
    fn black_hole(&self, local: &Checkout, verb: &str, container: &str, address: &str) -> Outcome {
        let network = format!("container:{container}");
        let call = ["run", "--rm", "--network", &network, "--cap-add", "NET_ADMIN", &self.tag];
        let route = ["ip", "route", verb, "blackhole", address];
        engine::ask(local, &[&call[..], &route].concat())?;
        Ok(())
    }
}

/// The address of a part on the network of the containers.
fn address(local: &Checkout, here: &Installation, part: &str) -> Outcome<String> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    Ok(engine::ask(local, &["inspect", "--format", format, &format!("{}_{part}_1", here.project)])?)
}

#[tpro_testkit::test]
async fn a_copy_that_is_cut_off_from_nats_or_postgresql_loses_nothing() -> Outcome {
    let Some(here) = Installation::new("cuts")? else { return Ok(()) };
    let local = here.local()?;
    let mut copies = Vec::new();
    for (service, number) in [("main", 1), ("analytic", 1), ("main", 2), ("analytic", 2)] {
        copies.push(Copy::start(&here, service, number)?);
    }
    let router = Router::build(&local, &here.project)?;
    let publish = publish(MESSAGES);
    for part in ["nats", "postgres"] {
        let address = address(&local, &here, part)?;
        // The leader of main, and one of those who answer.
        for copy in &copies[..2] {
            router.black_hole(&local, "add", &copy.container, &address)?;
            sql::ask(&local, &publish)?;
            copy.is(false).await?;
            sql::ask(&local, &publish)?;
            router.black_hole(&local, "del", &copy.container, &address)?;
            copy.is(true).await?;
        }
    }

    let port = here.checkout.environment.get("PG_PORT").context("PG_PORT is chosen")?;
    let password =
        std::fs::read_to_string(here.checkout.root.join(".local/docker/private/postgres/superuser"))?;
    let admin = connect(&format!("postgres://postgres:{}@127.0.0.1:{port}/tpro", password.trim())).await?;
    let services = ["main", "analytic"].map(str::to_owned);
    Recon::drained(&admin, &services).await?;
    let recon = Recon::look(&admin, &services).await?.clean()?;
    let answered: i64 =
        admin.query_one("SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'", &[]).await?.get(0);
    assert_eq!((answered, recon.settled), (8 * MESSAGES as i64, answered), "{recon:?}");
    Ok(())
}
