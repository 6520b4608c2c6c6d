//! The demo against the real services, servers and viewer: all as expected, and what it says when `co` is stopped.

use std::process::Command;
use std::sync::Arc;

use tpro_testkit::ports::free_port;
use tpro_testkit::{Context as _, Outcome, Process, SidecarProcess, Signal, World, eventually, http, paths};

struct Demo {
    world: World,
    services: Vec<Arc<SidecarProcess>>,
    viewer: Process,
    ui: u16,
}

impl Demo {
    async fn start() -> Outcome<Self> {
        let world = World::demo().await?;
        let (ui, otlp) = (free_port()?, free_port()?);
        let mut viewer = Command::new(paths::binary("tpro-viewer", "tpro-viewer")?);
        viewer.args([format!("--ui=127.0.0.1:{ui}"), format!("--otlp=127.0.0.1:{otlp}")]);
        let log = world.folder().join("viewer.out");
        let viewer = Process::start("tpro-viewer", viewer, &log, Signal::TERM, None)?;
        eventually("the viewer answers", async || Ok(http::get(ui, "/api/services").await.is_ok())).await?;
        let mut services = Vec::new();
        for service in ["co", "analytic", "main"] {
            let sidecar = world
                .sidecar(service)?
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{otlp}"))
                // What runs side by side is seen to: the second query may have to wait for a new connection.
                .env("EXAMPLE_PAUSE_MS", 400);
            services.push(world.start(sidecar).await?);
        }
        Ok(Self { world, services, viewer, ui })
    }

    /// Whether it said that all is well, and what it printed.
    async fn run(&self) -> Outcome<(bool, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tpro-demo"));
        command
            .env_clear()
            .env("DATABASE_URL", self.world.database.role_url("main"))
            .env("NATS_URL", self.world.nats.url())
            .env("NATS_TOKEN", self.world.nats.token())
            .env("JAEGER_URL", format!("http://127.0.0.1:{}", self.ui));
        let output =
            tokio::task::spawn_blocking(move || command.output()).await?.context("running tpro-demo")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said + &String::from_utf8_lossy(&output.stderr)))
    }

    async fn end(self) -> Outcome {
        for service in &self.services {
            if service.process().exit()?.is_none() {
                service.stop().await?;
            }
        }
        self.viewer.signal(Signal::TERM)?;
        assert!(self.viewer.wait().await?.success(), "{}", self.viewer.log());
        self.world.finish(&[]).await.map(drop)
    }
}

#[tpro_testkit::test]
async fn all_eight_cases_are_as_expected() -> Outcome {
    let demo = Demo::start().await?;
    let (well, said) = demo.run().await?;
    println!("{said}");
    assert!(well, "{said}");
    assert_eq!(said.matches("yes: ").count(), 8, "{said}");
    assert!(!said.contains('\x1b'), "colour is for terminals: {said}");
    assert!(said.contains("no row, nothing on the wire, no span"), "{said}");
    demo.end().await
}

#[tpro_testkit::test]
async fn without_co_the_third_case_is_named_and_no_other() -> Outcome {
    let demo = Demo::start().await?;
    demo.services[0].stop().await?;
    let (well, said) = demo.run().await?;
    println!("{said}");
    assert!(!well, "{said}");
    assert!(said.contains("1 of eight cases not as expected"), "{said}");
    assert!(said.contains("  3  Two queries and another service"), "{said}");
    demo.end().await
}
