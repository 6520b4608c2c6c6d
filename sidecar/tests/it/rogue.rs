//! A world with the service `rogue` of the test kit, whose handlers misbehave when a message tells them to.

use serde_json::{Value, json};
use tokio_postgres::Client;
use tpro_testkit::{Message, Outcome, Sidecar, World, eventually, paths};

/// The lock that a handler waits for when its body says `{"hold": 7}`.
const LOCK: i64 = 7;

/// The service.
pub struct Rogue;

impl Rogue {
    /// Makes the table of effects.
    pub const EFFECTS: &str = "CREATE TABLE public.effect (uid uuid NOT NULL, what text NOT NULL);
        GRANT SELECT, INSERT ON public.effect TO rogue";

    /// A world with services `main` and `rogue` and the table of effects.
    pub async fn world() -> Outcome<World> {
        let world = World::options().services(&["main", "rogue"]).start().await?;
        world.admin.batch_execute(Rogue::EFFECTS).await?;
        Ok(world)
    }

    /// A copy of it.
    pub fn copy(world: &World, number: u32) -> Outcome<Sidecar> {
        Ok(world.sidecar_of("rogue", paths::rogue()?).copy(number))
    }

    /// A request to one of its methods.
    pub fn request(method: &str, body: Value) -> Message {
        Message::to(&format!("rogue.{method}")).body(body)
    }

    /// The body that makes a handler wait.
    pub fn held() -> Value {
        json!({"hold": LOCK})
    }

    /// Makes handlers with that body wait for as long as the session lives.
    pub async fn hold(world: &World) -> Outcome<Client> {
        let session = world.database.connect().await?;
        session.query_one("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
        Ok(session)
    }

    /// Waits until so many handlers wait for it. Fails with all that the service's sessions do.
    pub async fn waiting(world: &World, handlers: i64) -> Outcome {
        let what = format!("{handlers} handlers wait");
        let waited = eventually(&what, async || Ok(Rogue::held_up(world).await? == handlers));
        let Err(failure) = waited.await else { return Ok(()) };
        let sessions =
            "SELECT coalesce(string_agg(concat_ws(' ', a.pid, a.application_name, a.state, a.wait_event,
                clock_timestamp() - a.state_change, a.query), E'\n' ORDER BY a.pid), '')
            FROM pg_stat_activity a WHERE a.datname = current_database()";
        let sessions: String = world.admin.query_one(sessions, &[]).await?.get(0);
        Err(failure
            .during(format!("{} wait, and the sessions are\n{sessions}", Rogue::held_up(world).await?)))
    }

    /// How many handlers wait for it.
    pub async fn held_up(world: &World) -> Outcome<i64> {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND (classid, objid, objsubid) = (0, 7, 1)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        world.count(waiting).await
    }

    /// How many effects there are.
    pub async fn effects(world: &World) -> Outcome<i64> {
        world.count("SELECT count(*) FROM public.effect").await
    }
}
