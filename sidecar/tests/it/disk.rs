//! A disk that is full. It is a small one of memory, which only root can make.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::watch;
use tpro_testkit::{Context, Message, Nats, Outcome, Postgres, World, eventually, listen};

use crate::rogue::Rogue;

/// What a reply has: enough of them do not fit on the disk any more.
const REPLY: usize = 8_000;

/// A disk of memory.
struct Disk(PathBuf);

impl Disk {
    /// None where this user may not make one.
    fn make(at: PathBuf, megabytes: u32) -> Outcome<Option<Disk>> {
        fs::create_dir_all(&at)?;
        let size = format!("size={megabytes}m,mode=777");
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        let made = made.context("running mount")?.status.success();
        Ok(made.then_some(Disk(at)))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Outcome<PathBuf> {
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler)?;
        let piece = vec![0u8; 4096];
        while file.write_all(&piece).is_ok() {}
        Ok(filler)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tpro_testkit::test]
async fn with_a_full_disk_publishers_are_told_nothing_more_is_sent_and_it_goes_on_by_itself() -> Outcome {
    let Some((disk, world)) = cramped(&["main"]).await? else { return Ok(()) };
    let answerer = Held::start(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 600_000)).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(600);
    request.publish_many(&world.main, 3_000).await?;
    eventually("some are on their way, and others wait for them", async || {
        Ok(main.metric("tpro_sent_total").await? > 0.0 && main.metric("tpro_waiting").await? > 0.0)
    })
    .await?;

    let filler = disk.fill()?;
    let mut published = 3_000;
    let refused = loop {
        match request.clone().body(json!({"text": "x".repeat(1_000)})).publish_many(&world.main, 10).await {
            Ok(()) => published += 10,
            Err(_) => break sqlstate(&world).await?,
        }
        assert!(published < 100_000, "the disk is not full");
    };
    assert_eq!(refused.as_deref(), Some("53100"), "a publisher is told");

    answerer.go();
    let complaint = "replies cannot be written";
    eventually("replies cannot be written", async || Ok(main.log().matches(complaint).count() > 0)).await?;
    let sent = main.metric("tpro_sent_total").await?;
    // It tries again every second, and keeps the room that the replies take.
    eventually("it has tried again", async || Ok(main.log().matches(complaint).count() > 3)).await?;
    assert_eq!(main.metric("tpro_sent_total").await?, sent, "nothing is sent that cannot be settled");
    let settled = world.count("SELECT count(*) FROM main_service.mq_reply").await?;
    assert!((settled as f64) < sent, "{settled} are settled");
    assert_eq!(sqlstate(&world).await?.as_deref(), Some("53100"));

    fs::remove_file(filler)?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, published);
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok" && reply.attempts == 1));
    assert_eq!(answerer.taken(), usize::try_from(published)?);
    assert_eq!(main.metric("tpro_leading").await?, 1.0, "the leader has kept its place");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_handler_has_done_is_not_called_failed_because_a_full_disk_cannot_note_it() -> Outcome {
    let Some((disk, world)) = cramped(&["main", "rogue"]).await? else { return Ok(()) };
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    for _ in 0..5 {
        world.publish(&Rogue::request("default.effect", Rogue::held()).timeout(60)).await?;
    }
    Rogue::waiting(&world, 5).await?;
    // The inbox has pages with room left, so that they are used up first.
    let filler = disk.fill()?;
    let used = "INSERT INTO rogue_service.mq_outcome (uid, run, answer) SELECT tpro.uuid7(), 0, to_jsonb(repeat(md5(random()::text), 30))";
    while world.admin.batch_execute(used).await.is_ok() {}
    drop(hold);
    eventually("outcomes cannot be stored", async || Ok(rogue.log().contains("the inbox cannot be written")))
        .await?;
    assert_eq!(Rogue::effects(&world).await?, 5);
    fs::remove_file(filler)?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok"), "{replies:?}");
    assert_eq!(Rogue::effects(&world).await?, 5, "each was done once");
    world.admin.batch_execute("DELETE FROM rogue_service.mq_outcome WHERE run = 0").await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// A world whose tables lie on a small disk; none where this user may not make one. The disk goes after the servers: it is
/// dropped last where it is bound first.
async fn cramped(services: &[&str]) -> Outcome<Option<(Disk, World)>> {
    // The tables of services lie where new ones lie by default, once there is such a place.
    let cluster = Postgres::own().set("default_tablespace", "small").start().await?;
    let place = cluster.data().with_file_name("small-disk");
    let Some(disk) = Disk::make(place, 192)? else {
        println!("figure: skipped, since this user may not mount a disk of memory");
        return Ok(None);
    };
    make_tablespace(&cluster, &disk.0).await?;
    let world = World::options().services(services).cluster(cluster).start().await?;
    Ok(Some((disk, world)))
}

async fn make_tablespace(cluster: &Postgres, disk: &Path) -> Outcome {
    let folder = disk.join("tables");
    fs::create_dir(&folder)?;
    // By the server's own account: to it the folder must belong.
    let owner = fs::metadata(cluster.data())?;
    chown(&folder, Some(owner.uid()), Some(owner.gid()))?;
    let admin = tpro_testkit::postgres::connect(&cluster.superuser_url("postgres")).await?;
    admin.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display())).await?;
    admin.batch_execute("GRANT CREATE ON TABLESPACE small TO PUBLIC").await?;
    Ok(())
}

/// Publishes many rows at once, which a full disk has no room for; the SQLSTATE of the refusal.
async fn sqlstate(world: &World) -> Outcome<Option<String>> {
    let statement = "INSERT INTO main_service.mq_publish
            (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
        SELECT 'json', 'tpro', 'old', 'thing', 'ask', 600, '{}', '{}' FROM generate_series(1, 5000)";
    let refused = world.main.batch_execute(statement).await.err();
    Ok(refused.and_then(|error| error.code().map(|code| code.code().to_owned())))
}

/// Takes messages, and answers none of them before it is told to.
struct Held {
    go: watch::Sender<bool>,
    taken: Arc<AtomicUsize>,
}

impl Held {
    async fn start(nats: &Nats, subject: &str) -> Outcome<Held> {
        let client = nats.client().await?;
        let mut messages = listen(&client, subject.to_owned()).await?;
        let (go, mut told) = watch::channel(false);
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                tokio::select! {
                    message = messages.next() => match message {
                        Some(message) => kept.push(message),
                        None => return,
                    },
                    changed = told.changed() => if changed.is_err() { return },
                }
                if !*told.borrow() {
                    continue;
                }
                for message in kept.drain(..) {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let Some(reply) = message.reply else { continue };
                    let _ = client.publish(reply, text(counter.load(Ordering::SeqCst)).into()).await;
                }
            }
        });
        Ok(Held { go, taken })
    }

    fn go(&self) {
        self.go.send_replace(true);
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// A reply that does not become smaller by compression.
fn text(seed: usize) -> String {
    let mut state = seed as u64 + 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + 10 + (state % 80) as u8)
    };
    let word: String = (0..REPLY).map(|_| next()).filter(|c| !matches!(c, '"' | '\\')).collect();
    json!({ "text": word }).to_string()
}
