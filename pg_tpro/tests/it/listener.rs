//! Somebody who hears the bell.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls};
use tpro_testkit::{Context, Database, Failure, Outcome};

/// A session that listens to the bells of services.
pub struct Listener {
    session: Client,
    heard: UnboundedReceiver<(String, String)>,
}

impl Listener {
    /// Listens to the bells of these services.
    pub async fn of(database: &Database, services: &[&str]) -> Outcome<Listener> {
        let (session, mut connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
        let (tell, heard) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(bell) = message {
                    // The test may be over.
                    let _ = tell.send((bell.channel().to_owned(), bell.payload().to_owned()));
                }
            }
        });
        for service in services {
            // A copy of the Go system listens to the second one, where nothing may ring.
            let bells = format!(
                "LISTEN published_in_{service}_service; LISTEN task_for_{service}_service; LISTEN due_in_{service}_service"
            );
            session.batch_execute(&bells).await?;
        }
        session.batch_execute("LISTEN that_was_all").await?;
        Ok(Listener { session, heard })
    }

    /// The services whose bells have rung since the last call, in order.
    pub async fn rung(&mut self) -> Outcome<Vec<String>> {
        let mut rung = Vec::new();
        for (channel, payload) in self.all().await? {
            if !payload.is_empty() {
                return Err(Failure::new(format!("the bell carries {payload:?}")));
            }
            let service =
                channel.strip_prefix("published_in_").and_then(|rest| rest.strip_suffix("_service"));
            rung.push(service.context("an unknown channel")?.to_owned());
        }
        Ok(rung)
    }

    /// The moments, in microseconds since the begin of 2000, at which `main` was told that something
    /// is due.
    pub async fn due(&mut self) -> Outcome<Vec<i64>> {
        let all = self.all().await?;
        let due = all.iter().filter(|(channel, _)| channel == "due_in_main_service");
        Ok(due.map(|(_, payload)| payload.parse()).collect::<Result<_, _>>()?)
    }

    /// Channels and payloads since the last call.
    ///
    /// Notifications arrive in the order of commits, so that one of our own marks the end: nothing is waited for in vain.
    async fn all(&mut self) -> Outcome<Vec<(String, String)>> {
        self.session.batch_execute("NOTIFY that_was_all").await?;
        let mut all = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.heard.recv()).await;
            let heard = next?.context("the listening session has ended")?;
            if heard.0 == "that_was_all" {
                return Ok(all);
            }
            all.push(heard);
        }
    }
}
